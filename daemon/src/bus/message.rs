//! What servers tell each other; private to one release.

use crate::store::logs::Entry;
use bytes::Bytes;
use fastchat_wire::{
    AccountId, DeviceId, EncodeError, EntryId, Frame, LogId,
    chat::{mark::MarkEvent, remove_device::DeviceEvent, signal::SignalEvent},
    encode_private,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Larger blocks travel by reference: the receiver reads them from the log.
pub(crate) const BLOCK_BYTES_BY_VALUE_MAX: usize = 32 << 10;

/// A set's state, as it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// The snapshot that it began with.
    pub(crate) snapshot: u64,
    /// The last change.
    pub(crate) seq: u64,
}

/// A piece of a snapshot: its own number, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// From 0.
    pub(crate) number: u32,
    /// At least 1.
    pub(crate) of: u32,
}

/// What servers tell each other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    /// An entry was appended.
    Entry {
        /// The entry.
        entry: Entry,
        /// The roster version that it is for.
        members_seq: u64,
    },
    /// Something was appended; read it.
    Bell {
        /// Where.
        log: LogId,
        /// Its number.
        seq: u64,
        /// The roster version, where that is known.
        members_seq: Option<u64>,
    },
    /// The sender's whole set of accounts, or a piece of it.
    Snapshot {
        /// The snapshot, and the sender's changes that it stands for.
        known: Known,
        /// Which piece.
        piece: Piece,
        /// Online there.
        accounts: Vec<AccountId>,
    },
    /// The sender's set changed.
    Delta {
        /// The change's number.
        seq: u64,
        /// Came.
        came: Vec<AccountId>,
        /// Went.
        went: Vec<AccountId>,
    },
    /// The receiver's changes are known without a gap, through this one.
    Known(Known),
    /// The receiver's set is not known any more: send a snapshot.
    Resync,
    /// Connections of this session are to end.
    SessionEnded([u8; 16]),
    /// Connections of this device are to end.
    DeviceEnded(DeviceId),
    /// Connections of this account are to end.
    AccountEnded(AccountId),
    /// A device came or went; tell these accounts.
    Device(DeviceEvent, Vec<AccountId>),
    /// Watermarks moved; tell the conversation's members.
    Mark {
        /// Whose, and how far.
        mark: MarkEvent,
        /// The roster version that it is for.
        members_seq: u64,
    },
    /// Somebody's signal; tell the conversation's members.
    Signal {
        /// Whose, and where.
        signal: SignalEvent,
        /// The roster version that it is for.
        members_seq: u64,
        /// At most [`fastchat_wire::limits::SIGNAL_BYTES_MAX`].
        block: Bytes,
    },
}

/// The header on the wire; ids by the dozen are in the block, 16 bytes each.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Header<'a> {
    event: &'a str,
    content_length: u64,
    #[serde(flatten)]
    body: Body,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "type")]
enum Body {
    Entry {
        log: LogId,
        seq: u64,
        at: u64,
        kind: String,
        entry: EntryId,
        from: Option<AccountId>,
        device: Option<DeviceId>,
        epoch: Option<u64>,
        members_seq: u64,
    },
    Bell {
        log: LogId,
        seq: u64,
        members_seq: Option<u64>,
    },
    Snapshot {
        snapshot: u64,
        seq: u64,
        piece: u32,
        of: u32,
    },
    Delta {
        seq: u64,
        came: usize,
    },
    Known {
        snapshot: u64,
        seq: u64,
    },
    Resync,
    SessionEnded {
        session: String,
    },
    DeviceEnded {
        device: DeviceId,
    },
    AccountEnded {
        account: AccountId,
    },
    Device {
        device: DeviceEvent,
    },
    Mark {
        mark: MarkEvent,
        members_seq: u64,
    },
    Signal {
        signal: SignalEvent,
        members_seq: u64,
    },
}

/// The `event` of all messages.
const EVENT: &str = "bus";

impl Message {
    /// The frame.
    ///
    /// # Errors
    /// It doesn't fit into one: a fault of ours.
    pub(crate) fn encode(&self) -> Result<Bytes, EncodeError> {
        let (body, block) = match self {
            // A Welcome's devices are read from the log with it.
            Self::Entry { entry, members_seq } if entry.block.len() > BLOCK_BYTES_BY_VALUE_MAX || !entry.welcome_to.is_empty() => (
                Body::Bell {
                    log: entry.log,
                    seq: entry.seq,
                    members_seq: Some(*members_seq),
                },
                Bytes::new(),
            ),
            Self::Entry { entry, members_seq } => (
                Body::Entry {
                    log: entry.log,
                    seq: entry.seq,
                    at: entry.at,
                    kind: entry.kind.to_string(),
                    entry: entry.entry,
                    from: entry.from,
                    device: entry.device,
                    epoch: entry.epoch,
                    members_seq: *members_seq,
                },
                entry.block.clone(),
            ),
            Self::Bell { log, seq, members_seq } => (
                Body::Bell {
                    log: *log,
                    seq: *seq,
                    members_seq: *members_seq,
                },
                Bytes::new(),
            ),
            Self::Snapshot {
                known: Known { snapshot, seq },
                piece,
                accounts,
            } => (
                Body::Snapshot {
                    snapshot: *snapshot,
                    seq: *seq,
                    piece: piece.number,
                    of: piece.of,
                },
                ids(accounts),
            ),
            Self::Delta { seq, came, went } => (
                Body::Delta {
                    seq: *seq,
                    came: came.len(),
                },
                ids(came.iter().chain(went)),
            ),
            Self::Known(Known { snapshot, seq }) => (
                Body::Known {
                    snapshot: *snapshot,
                    seq: *seq,
                },
                Bytes::new(),
            ),
            Self::Resync => (Body::Resync, Bytes::new()),
            Self::SessionEnded(session) => (
                Body::SessionEnded {
                    session: LogId(*session).to_string(),
                },
                Bytes::new(),
            ),
            Self::DeviceEnded(device) => (Body::DeviceEnded { device: *device }, Bytes::new()),
            Self::AccountEnded(account) => (Body::AccountEnded { account: *account }, Bytes::new()),
            Self::Device(device, to) => (Body::Device { device: device.clone() }, ids(to)),
            Self::Mark { mark, members_seq } => (
                Body::Mark {
                    mark: mark.clone(),
                    members_seq: *members_seq,
                },
                Bytes::new(),
            ),
            Self::Signal {
                signal,
                members_seq,
                block,
            } => (
                Body::Signal {
                    signal: signal.clone(),
                    members_seq: *members_seq,
                },
                block.clone(),
            ),
        };
        encode_private(
            &Header {
                event: EVENT,
                content_length: block.len() as u64,
                body,
            },
            &block,
        )
    }

    /// Reads a frame of the bus.
    ///
    /// # Errors
    /// What is wrong with it: the link is to be closed.
    pub(crate) fn decode(frame: &Frame) -> Result<Self, String> {
        let header: Header<'_> = serde_json::from_slice(&frame.header).map_err(|e| e.to_string())?;
        Ok(match header.body {
            Body::Entry {
                log,
                seq,
                at,
                kind,
                entry,
                from,
                device,
                epoch,
                members_seq,
            } => {
                let welcome_to = Arc::from([]);
                Self::Entry {
                    entry: Entry {
                        log,
                        seq,
                        at,
                        kind: kind.into(),
                        entry,
                        from,
                        device,
                        epoch,
                        block: frame.block.clone(),
                        welcome_to,
                    },
                    members_seq,
                }
            }
            Body::Bell { log, seq, members_seq } => Self::Bell { log, seq, members_seq },
            Body::Snapshot { snapshot, seq, piece, of } => Self::Snapshot {
                known: Known { snapshot, seq },
                piece: Piece { number: piece, of },
                accounts: accounts(&frame.block)?,
            },
            Body::Delta { seq, came } => {
                let mut all = accounts(&frame.block)?;
                if came > all.len() {
                    return Err("a delta names more accounts than it carries".to_owned());
                }
                let went = all.split_off(came);
                Self::Delta { seq, came: all, went }
            }
            Body::Known { snapshot, seq } => Self::Known(Known { snapshot, seq }),
            Body::Resync => Self::Resync,
            Body::SessionEnded { session } => Self::SessionEnded(session.parse::<LogId>().map_err(|e| e.to_string())?.0),
            Body::DeviceEnded { device } => Self::DeviceEnded(device),
            Body::AccountEnded { account } => Self::AccountEnded(account),
            Body::Device { device } => Self::Device(device, accounts(&frame.block)?),
            Body::Mark { mark, members_seq } => Self::Mark { mark, members_seq },
            Body::Signal { signal, members_seq } => Self::Signal {
                signal,
                members_seq,
                block: frame.block.clone(),
            },
        })
    }
}

fn ids<'a>(accounts: impl IntoIterator<Item = &'a AccountId>) -> Bytes {
    accounts.into_iter().flat_map(|account| account.0).collect()
}

fn accounts(block: &[u8]) -> Result<Vec<AccountId>, String> {
    let (ids, rest) = block.as_chunks::<16>();
    if rest.is_empty() {
        Ok(ids.iter().copied().map(AccountId).collect())
    } else {
        Err("a list of ids with a broken end".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::{Deframer, FrameLimits};

    fn through(message: &Message) -> Message {
        let mut deframer = Deframer::new(FrameLimits::DEFAULT);
        deframer.push(&message.encode().unwrap());
        Message::decode(&deframer.next().unwrap().unwrap()).unwrap()
    }

    fn entry(block: usize, welcome_to: &[DeviceId]) -> Message {
        let entry = Entry {
            log: LogId([1; 16]),
            seq: 7,
            at: 8,
            kind: "app".into(),
            entry: EntryId([2; 16]),
            from: Some(AccountId([3; 16])),
            device: Some(DeviceId([4; 16])),
            epoch: Some(9),
            block: vec![b'x'; block].into(),
            welcome_to: welcome_to.into(),
        };
        Message::Entry { entry, members_seq: 5 }
    }

    #[test]
    fn messages_arrive_as_they_were_sent() {
        let account = |n| AccountId([n; 16]);
        for message in [
            entry(BLOCK_BYTES_BY_VALUE_MAX, &[]),
            Message::Bell {
                log: LogId([1; 16]),
                seq: 3,
                members_seq: None,
            },
            Message::Snapshot {
                known: Known { snapshot: 2, seq: 4 },
                piece: Piece { number: 0, of: 1 },
                accounts: vec![account(1), account(2)],
            },
            Message::Delta {
                seq: 5,
                came: vec![account(1)],
                went: vec![account(2), account(3)],
            },
            Message::Known(Known { snapshot: 2, seq: 6 }),
            Message::Resync,
            Message::SessionEnded([7; 16]),
            Message::DeviceEnded(DeviceId([8; 16])),
            Message::AccountEnded(account(9)),
            Message::Mark {
                mark: MarkEvent {
                    conversation: LogId([1; 16]),
                    account: account(2),
                    delivered: Some(3),
                    read: None,
                },
                members_seq: 4,
            },
            Message::Signal {
                signal: SignalEvent {
                    conversation: LogId([1; 16]),
                    from: account(2),
                    device: DeviceId([3; 16]),
                    epoch: 4,
                },
                members_seq: 5,
                block: "typing".into(),
            },
        ] {
            assert_eq!(through(&message), message);
        }
    }

    #[test]
    fn large_blocks_and_welcomes_travel_by_reference() {
        let bell = Message::Bell {
            log: LogId([1; 16]),
            seq: 7,
            members_seq: Some(5),
        };
        assert_eq!(through(&entry(BLOCK_BYTES_BY_VALUE_MAX + 1, &[])), bell);
        assert_eq!(through(&entry(1, &[DeviceId([1; 16])])), bell);
    }
}
