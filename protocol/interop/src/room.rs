//! One conversation as a device follows it: which entries it has taken, and the head of its log. Pure.

use crate::mls::Failure;
use fastchat_client::Entry;
use fastchat_e2e::{ConversationId, EntryId, LogHead, log::Block, mls::MemberDevice};
use std::collections::BTreeMap;

/// Whose word a joiner takes for its first head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Believes {
    /// The device that added it.
    Adder(MemberDevice),
    /// Any other one's: it came in by itself.
    Anybody,
}

/// Where a device stands in one conversation.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    conversation: ConversationId,
    /// The last entry that was taken.
    pub(crate) seq: u64,
    /// The server's epoch: commits in the log.
    pub(crate) epoch: u64,
    head: Option<LogHead>,
    heads: BTreeMap<u64, [u8; 32]>,
    believes: Believes,
    /// The commit that this device is in by.
    joined_at: u64,
    /// What was taken since, until there is a head to chain it to.
    unchained: BTreeMap<u64, (EntryId, String, [u8; 32])>,
}

impl Room {
    /// Before the first entry of an own conversation.
    pub(crate) fn founded(conversation: ConversationId) -> Self {
        let start = LogHead::start(conversation);
        Self {
            head: Some(start),
            heads: [(0, start.hash)].into(),
            ..Self::joined(conversation, 0, 0, Believes::Anybody)
        }
    }

    /// Right behind the commit that this device is in by; `epoch` is the server's after it.
    pub(crate) fn joined(conversation: ConversationId, commit: u64, epoch: u64, believes: Believes) -> Self {
        Self {
            conversation,
            seq: commit,
            epoch,
            head: None,
            heads: BTreeMap::new(),
            believes,
            joined_at: commit,
            unchained: BTreeMap::new(),
        }
    }

    /// What an own message says of the log: nothing before there is a head.
    pub(crate) fn authenticated(&self) -> Vec<u8> {
        self.head.map(|head| head.to_authenticated_data()).unwrap_or_default()
    }

    /// Whether own messages say how the log stands.
    pub(crate) fn has_head(&self) -> bool {
        self.head.is_some()
    }

    /// Compares what the sender of the next entry says of the log; a joiner may take it over.
    ///
    /// # Errors
    /// The sender was shown another log.
    pub(crate) fn compare(&mut self, sender: MemberDevice, authenticated: &[u8]) -> Result<(), Failure> {
        if authenticated.is_empty() {
            return Ok(());
        }
        let claim = LogHead::from_authenticated_data(authenticated)?;
        if claim.seq > self.seq {
            return Err(format!("{sender:?} names number {} of a log that ends at {}", claim.seq, self.seq).into());
        }
        match self.heads.get(&claim.seq) {
            Some(hash) if *hash != claim.hash => Err(format!("another head at number {} by {sender:?}", claim.seq).into()),
            None if self.head.is_none() && self.believed(sender) && claim.seq >= self.joined_at => self.adopt(claim),
            _ => Ok(()),
        }
    }

    fn believed(&self, sender: MemberDevice) -> bool {
        match self.believes {
            Believes::Adder(adder) => adder == sender,
            Believes::Anybody => true,
        }
    }

    fn adopt(&mut self, claim: LogHead) -> Result<(), Failure> {
        let mut head = claim;
        self.heads.insert(head.seq, head.hash);
        for (seq, (entry, kind, hash)) in std::mem::take(&mut self.unchained) {
            if seq > claim.seq {
                head = head.next_hashed(entry, &kind, &hash)?;
                self.heads.insert(head.seq, head.hash);
            }
        }
        self.head = Some(head);
        Ok(())
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// It is not the next one.
    pub(crate) fn advance(&mut self, entry: &Entry) -> Result<(), Failure> {
        if entry.seq() != self.seq + 1 || entry.log().0 != self.conversation.0 {
            return Err(format!("entry {} of {} is not behind {}", entry.seq(), entry.log(), self.seq).into());
        }
        let withheld = entry.head.block_sha256.as_ref().map(|hash| <[u8; 32]>::try_from(&hash.0[..]));
        let hash = withheld.transpose()?.unwrap_or_else(|| Block::Bytes(&entry.block).sha256());
        let (id, kind) = (EntryId(entry.head.entry.0), entry.head.kind.as_str());
        self.seq = entry.seq();
        match self.head {
            Some(head) => {
                let next = head.next_hashed(id, kind, &hash)?;
                self.heads.insert(next.seq, next.hash);
                self.head = Some(next);
            }
            None => _ = self.unchained.insert(self.seq, (id, kind.to_owned(), hash)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_e2e::{AccountId, DeviceId};
    use fastchat_wire::{LogId, chat::entry::EntryEvent, encoding::Bytes64};

    const CHAT: ConversationId = ConversationId([1; 16]);

    fn entry(seq: u64, block: &[u8]) -> Entry {
        Entry {
            head: EntryEvent {
                log: LogId(CHAT.0),
                seq,
                at: 1,
                kind: "app".to_owned(),
                entry: fastchat_wire::EntryId([u8::try_from(seq).unwrap(); 16]),
                from: None,
                device: None,
                epoch: None,
                block_sha256: None,
            },
            block: block.to_vec().into(),
        }
    }

    fn device(n: u8) -> MemberDevice {
        MemberDevice {
            account: AccountId([n; 16]),
            device: DeviceId([n; 16]),
        }
    }

    /// Somebody who was there from the beginning, after so many entries.
    fn witness(entries: u64) -> Room {
        let mut room = Room::founded(CHAT);
        for seq in 1..=entries {
            room.advance(&entry(seq, b"block")).unwrap();
        }
        room
    }

    #[test]
    fn a_joiner_takes_the_head_from_its_adder_and_from_nobody_else() {
        let mut room = Room::joined(CHAT, 2, 1, Believes::Adder(device(1)));
        for seq in 3..=5 {
            room.advance(&entry(seq, b"block")).unwrap();
        }
        room.compare(device(2), &witness(3).authenticated()).unwrap();
        assert!(!room.has_head() && room.authenticated().is_empty());
        room.compare(device(1), &witness(1).authenticated()).unwrap();
        assert!(!room.has_head(), "from before it came");
        room.compare(device(1), &witness(3).authenticated()).unwrap();
        assert_eq!(room.authenticated(), witness(5).authenticated());
    }

    #[test]
    fn another_log_is_noticed() {
        let mut other = witness(2);
        other.advance(&entry(3, b"another block")).unwrap();
        let mut room = witness(4);
        assert!(room.compare(device(1), &other.authenticated()).is_err());
        assert!(
            room.compare(device(1), &witness(5).authenticated()).is_err(),
            "beyond what there is"
        );
        room.compare(device(1), &witness(3).authenticated()).unwrap();
    }

    #[test]
    fn what_the_server_keeps_back_counts_by_its_hash_and_nothing_is_left_out() {
        let mut withheld = entry(1, b"");
        withheld.head.block_sha256 = Some(Bytes64(Block::Bytes(b"block").sha256().to_vec()));
        let mut room = Room::founded(CHAT);
        room.advance(&withheld).unwrap();
        assert_eq!(room.authenticated(), witness(1).authenticated());
        assert!(room.advance(&entry(3, b"block")).is_err());
    }
}
