//! What the log says: entries in its order, own ones among them.

use super::{
    Groups,
    error::Error,
    heads, key_packages,
    outbox::{self, Row},
    rows,
    send::withdraw,
    stranded::Stranding,
};
use crate::{
    content::{Content, ContentError},
    id::{ConversationId, EntryId},
    log::{Alarm, Block, HeadCheck, Joining, KIND_COMMIT, KIND_MEMBER, KIND_MESSAGE, KIND_WELCOME, LogEntry, Position},
    mls::rules::Leaf,
    mls::{Applied, GroupError, MemberDevice},
    store::Writer,
};

/// One entry, taken.
#[derive(Debug)]
pub struct Received {
    /// Its number.
    pub seq: u64,
    /// Its id.
    pub entry: EntryId,
    /// What it was.
    pub what: What,
    /// How its sender's view of the log compares with this device's.
    pub head: HeadCheck,
    /// What the user must see.
    pub alarms: Vec<Alarm>,
}

/// What an entry was.
#[derive(Debug)]
pub enum What {
    /// A message of another device.
    Message {
        /// Who sealed it.
        sender: Leaf,
        /// What it says.
        content: Content,
    },
    /// A message of this device, now in its place.
    Own {
        /// What it says.
        content: Content,
    },
    /// A commit that was applied; an own one if its author is this device.
    Commit {
        /// What it did.
        applied: Applied,
        /// An own commit that it overtook: make it anew, if it is still wanted.
        overtaken: Option<EntryId>,
    },
    /// A commit that is no good for anybody. The group goes on from the epoch before it; a member's next commit brings
    /// a GroupInfo that is good for joiners.
    BadCommit {
        /// Why.
        cause: GroupError,
        /// An own commit that it overtook: make it anew, if it is still wanted.
        overtaken: Option<EntryId>,
    },
    /// A commit that others may have applied, and this device could not: see [`Groups::stranding`].
    Stranded {
        /// Why.
        cause: Stranding,
        /// An own commit that it overtook: make it anew, if it is still wanted.
        overtaken: Option<EntryId>,
    },
    /// A commit of a group in which this device can't go on: the others did, or not.
    Watched,
    /// The commit that removed this device. The group's secrets are deleted.
    Out {
        /// By whom.
        by: MemberDevice,
        /// Own messages that were never sent, and can't be any more.
        unsent: Vec<EntryId>,
    },
    /// An entry that does not open, or is not what it should be. The rest goes on.
    Unreadable {
        /// Why.
        cause: Cause,
    },
    /// The server's word on who is in: JSON, for people. The group knows by itself.
    Member(Vec<u8>),
    /// A Welcome for others.
    Welcome,
    /// Of a kind that this version does not know.
    Unknown,
    /// Taken before.
    Repeated,
}

/// Why an entry is unreadable.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// MLS does not open it.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// It opens, and is no message.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The server kept its block back.
    #[error("the server did not send this entry's content; fetch it again")]
    NoBlock,
    /// Of this device, which has no copy.
    #[error("this device sent this, and kept no copy; another of your devices may have it")]
    NoCopy,
    /// From the time in which this device could not follow the group.
    #[error("this was sealed while this device could not follow the conversation; ask for it to be sent again")]
    Stranded,
    /// From the time after this device was removed.
    #[error("this was sent after this device was removed from the conversation")]
    Out,
}

/// What came of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcomed {
    /// Who added this device.
    pub adder: Leaf,
    /// Publish a new last-resort key package.
    pub last_resort_used: bool,
}

impl Groups {
    /// Takes the log's next entry, and own acknowledged ones right behind it.
    ///
    /// # Errors
    /// [`Error::Gap`] where entries are missing; [`Error::Unknown`]; [`Error::Store`]. Never for an entry that does not open.
    pub fn receive(&mut self, tx: &Writer<'_>, conversation: ConversationId, entry: &LogEntry<'_>) -> Result<Vec<Received>, Error> {
        let mut position = rows::position(tx, conversation)?;
        if entry.seq <= position.seq {
            let same = heads::same_as_before(tx, conversation, entry)?.unwrap_or(true);
            let alarm = (!same).then_some(Alarm::Rewritten { seq: entry.seq });
            return Ok(vec![received(entry, What::Repeated, HeadCheck::None, alarm.into_iter().collect())]);
        }
        let expected = position.seq + 1;
        if entry.seq != expected {
            return Err(Error::Gap { expected, got: entry.seq });
        }
        let mut taken = vec![self.take(tx, conversation, &mut position, entry)?];
        self.take_acknowledged(tx, conversation, &mut position, &mut taken)?;
        Ok(taken)
    }

    /// The server has given an own entry a number. It is taken when the cursor is right before it.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`]. An entry that was taken already gives nothing.
    pub fn acknowledged(
        &mut self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        entry: EntryId,
        seq: u64,
    ) -> Result<Vec<Received>, Error> {
        let mut position = rows::position(tx, conversation)?;
        let Some(mut row) = outbox::find(tx, conversation, entry)? else {
            return Ok(Vec::new());
        };
        if seq <= position.seq {
            // That number was read, and was another entry. Sent again, it would get the same answer: it is given up.
            let alarm = Alarm::Moved { seq, entry };
            drop_own(tx, &row)?;
            let what = own_content(&row);
            return Ok(vec![Received {
                seq,
                entry,
                what,
                head: HeadCheck::None,
                alarms: vec![alarm],
            }]);
        }
        row.outgoing.acknowledged = Some(seq);
        outbox::put(tx, &row)?;
        let mut taken = Vec::new();
        self.take_acknowledged(tx, conversation, &mut position, &mut taken)?;
        Ok(taken)
    }

    /// Joins by a Welcome, also into a conversation that it was in before; its unsent messages stay, to be sealed
    /// again. `entry` is the log's, of kind `welcome`; `epoch` the server's that the commit before it left.
    ///
    /// # Errors
    /// [`GroupError`]: not for this device, for another conversation, against the rules. [`Error::OldWelcome`].
    pub fn join(&mut self, tx: &Writer<'_>, conversation: ConversationId, entry: &LogEntry<'_>, epoch: u64) -> Result<Welcomed, Error> {
        let Block::Bytes(welcome) = entry.block else {
            return Err(GroupError::Unexpected("invitation").into());
        };
        let find = |reference: &[u8]| key_packages::find(tx, reference);
        let (group, joined) = self.engine.join::<Error>(conversation, welcome, find)?;
        if rows::find_position(tx, conversation)?.is_some_and(|known| known.mls_epoch >= group.epoch()) {
            return Err(Error::OldWelcome);
        }
        self.live.remove(&conversation);
        outbox::keep_unsent(tx, conversation)?;
        rows::forget(tx, conversation)?;
        for reference in &joined.used {
            key_packages::delete(tx, reference)?;
        }
        let mut position = Position {
            seq: entry.seq - 1,
            head: None,
            server_epoch: epoch + 1,
            mls_epoch: group.epoch(),
            version: 0,
            out: false,
            joining: Some(Joining::added_by(joined.adder.who, entry.seq - 1)),
            unproven: None,
        };
        heads::advance(tx, conversation, &mut position, entry)?;
        self.store(tx, conversation, &mut position, group, true)?;
        rows::put_position(tx, conversation, &position)?;
        Ok(Welcomed {
            adder: joined.adder,
            last_resort_used: joined.last_resort_used,
        })
    }

    fn take_acknowledged(
        &mut self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        position: &mut Position,
        taken: &mut Vec<Received>,
    ) -> Result<(), Error> {
        while let Some(row) = outbox::acknowledged_for(tx, conversation, position.seq + 1)? {
            let me = self.me();
            let entry = LogEntry {
                seq: position.seq + 1,
                entry: row.outgoing.entry,
                kind: if row.is_commit() { KIND_COMMIT } else { KIND_MESSAGE },
                from: Some((me.account, me.device)),
                epoch: row.is_commit().then_some(row.outgoing.epoch),
                block: Block::Bytes(row.block()),
            };
            taken.push(self.take(tx, conversation, position, &entry)?);
        }
        Ok(())
    }

    /// Takes the entry right behind the cursor.
    fn take(
        &mut self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        position: &mut Position,
        entry: &LogEntry<'_>,
    ) -> Result<Received, Error> {
        let mut alarms = Vec::new();
        let own = self.own_row(tx, conversation, entry, &mut alarms)?;
        let mut taking = Taking {
            alarms,
            head: HeadCheck::None,
            adopt: None,
            announce: None,
        };
        let what = match (entry.kind, own) {
            (KIND_MESSAGE, Some(row)) => {
                outbox::delete(tx, &row.outgoing)?;
                own_content(&row)
            }
            (KIND_MESSAGE, None) => self.take_message(tx, conversation, position, entry, &mut taking)?,
            (KIND_COMMIT, own) => self.take_commit(tx, conversation, position, entry, own.as_ref(), &mut taking)?,
            (KIND_MEMBER, _) => match entry.block {
                Block::Bytes(bytes) => What::Member(bytes.to_vec()),
                Block::Sha256(_) => What::Unreadable { cause: Cause::NoBlock },
            },
            (KIND_WELCOME, _) => What::Welcome,
            _ => What::Unknown,
        };
        heads::advance(tx, conversation, position, entry)?;
        if let Some(claim) = taking.adopt {
            heads::adopt(tx, conversation, position, claim)?;
        }
        rows::put_position(tx, conversation, position)?;
        if let Some(announcement) = taking.announce {
            self.seal_bytes(tx, conversation, announcement.id, announcement.encode()?)?;
            *position = rows::position(tx, conversation)?;
        }
        Ok(received(entry, what, taking.head, taking.alarms))
    }

    /// The outbox's row for an entry that is this device's own. The server may lie about that: bytes decide.
    fn own_row(
        &self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        entry: &LogEntry<'_>,
        alarms: &mut Vec<Alarm>,
    ) -> Result<Option<Row>, Error> {
        let Some(row) = outbox::find(tx, conversation, entry.entry)? else {
            return Ok(None);
        };
        let named_me = entry.named_sender() == Some(self.me());
        if entry.block == Block::Bytes(row.block()) {
            if !named_me {
                alarms.push(Alarm::Sender {
                    named: entry.named_sender(),
                    sealed_by: self.me(),
                });
            }
            return Ok(Some(row));
        }
        if named_me {
            alarms.push(Alarm::Altered { entry: entry.entry });
            drop_own(tx, &row)?;
        }
        Ok(None)
    }

    fn take_message(
        &mut self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        position: &mut Position,
        entry: &LogEntry<'_>,
        taking: &mut Taking,
    ) -> Result<What, Error> {
        let cause = |cause: Cause| Ok(What::Unreadable { cause });
        let Block::Bytes(bytes) = entry.block else {
            return cause(Cause::NoBlock);
        };
        if position.out {
            return cause(Cause::Out);
        }
        if entry.named_sender() == Some(self.me()) {
            return cause(Cause::NoCopy);
        }
        if rows::stranded(tx, conversation)?.is_some() {
            return cause(Cause::Stranded);
        }
        let mut group = self.take_live(tx, conversation, position)?;
        // The group is dropped where this fails: it is loaded again for the next entry.
        let opened = match group.open(bytes) {
            Ok(opened) => opened,
            Err(error) => return cause(error.into()),
        };
        position.unproven = None;
        self.store(tx, conversation, position, group, false)?;
        taking.check(tx, conversation, position, entry, opened.sender.who, &opened.authenticated_data)?;
        match Content::parse(opened.plaintext.expose(), entry.entry) {
            Ok(content) => Ok(What::Message {
                sender: opened.sender,
                content,
            }),
            Err(error) => cause(error.into()),
        }
    }
}

/// What comes up while an entry is taken.
pub(super) struct Taking {
    alarms: Vec<Alarm>,
    head: HeadCheck,
    /// A joiner's first head.
    adopt: Option<crate::head::LogHead>,
    /// What to tell those whom an own commit added.
    pub(super) announce: Option<Content>,
}

impl Taking {
    /// Compares whom the server names with who sealed, and the sender's head with the own one.
    pub(super) fn check(
        &mut self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        position: &Position,
        entry: &LogEntry<'_>,
        sender: MemberDevice,
        authenticated_data: &[u8],
    ) -> Result<(), Error> {
        let named = entry.named_sender();
        if named != Some(sender) {
            self.alarms.push(Alarm::Sender { named, sealed_by: sender });
        }
        let (check, claim) = heads::compare(tx, conversation, position, entry.seq, authenticated_data)?;
        self.head = check;
        let Some(claim) = claim else { return Ok(()) };
        if check == HeadCheck::Forked {
            self.alarms.push(Alarm::Fork { seq: claim.seq, sender });
        } else if let Some(joining) = position.joining
            && joining.believes(sender)
            && claim.seq >= joining.commit
        {
            self.adopt = Some(claim);
        }
        Ok(())
    }
}

fn received(entry: &LogEntry<'_>, what: What, head: HeadCheck, alarms: Vec<Alarm>) -> Received {
    Received {
        seq: entry.seq,
        entry: entry.entry,
        what,
        head,
        alarms,
    }
}

fn own_content(row: &Row) -> What {
    match Content::parse(row.plaintext.expose(), row.outgoing.entry) {
        Ok(content) => What::Own { content },
        Err(error) => What::Unreadable { cause: error.into() },
    }
}

/// Gives an own entry up.
fn drop_own(tx: &Writer<'_>, row: &Row) -> Result<(), Error> {
    if row.is_commit() {
        withdraw(tx, row.outgoing.conversation)?;
    }
    outbox::delete(tx, &row.outgoing)
}
