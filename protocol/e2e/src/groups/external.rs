//! Coming in without an invitation: an external commit, kept apart until it stands in the log.
//!
//! ```text
//!   GroupInfo ── enter ──> kept apart, to be sent ─┬─ acknowledged(seq) ── entered ──> a conversation like any other
//!                                                  └─ epoch-conflict ───── give_up_entering ──> enter anew
//! ```
//!
//! Until the server has acknowledged it, the new group is no conversation of this device: nothing is sealed in it and
//! nothing received. It is kept all the same, so that a device that dies in between sends the same commit again and
//! opens what was sealed for it meanwhile.

use super::{Groups, error::Error, heads, outbox, rows};
use crate::{
    id::{ConversationId, EntryId},
    log::{Block, Joining, KIND_COMMIT, LogEntry, Position},
    mls::observer::Observer,
    store::{Reader, Table, Writer},
};
use zeroize::Zeroizing;

/// conversation → entry ‖ u64 epoch ‖ four parts, each with its u32 length: commit, GroupInfo, state, tree.
const ENTERING: Table = Table::new("group-entering");

/// A commit by which this device comes in, to be sent with `commit`, and again until its outcome is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entering {
    /// Under which id; the same again whenever it is sent again.
    pub entry: EntryId,
    /// The server's epoch that it leaves.
    pub epoch: u64,
    /// The commit.
    pub commit: Vec<u8>,
    /// The GroupInfo after it.
    pub group_info: Vec<u8>,
}

pub(super) struct Row {
    entering: Entering,
    pub(super) state: Zeroizing<Vec<u8>>,
    pub(super) tree: Vec<u8>,
}

impl Groups {
    /// Makes the commit by which this device comes into a conversation of its account, from the GroupInfo that came
    /// with the last commit and the server's epoch. One that is under way is given again.
    ///
    /// # Errors
    /// [`Error::Exists`] where this device is in; [`Error::OtherGroup`] where it was in, and the GroupInfo is not of the
    /// group that the log leads to; [`crate::mls::GroupError`]: another conversation's GroupInfo, one
    /// that does not hold, or a group that does not let this device in.
    pub fn enter(
        &mut self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        entry: EntryId,
        group_info: &[u8],
        epoch: u64,
    ) -> Result<Entering, Error> {
        let is_stranded = rows::stranded(tx, conversation)?.is_some();
        if rows::find_position(tx, conversation)?.is_some_and(|known| !known.out) && !is_stranded {
            return Err(Error::Exists(conversation));
        }
        if let Some(row) = find(tx, conversation)? {
            return Ok(row.entering);
        }
        self.check_way_back(tx, conversation, group_info)?;
        let (mut group, external) = self.engine.join_from_outside(conversation, group_info)?;
        let row = Row {
            entering: Entering {
                entry,
                epoch,
                commit: external.commit,
                group_info: external.group_info,
            },
            state: group.state()?,
            tree: group.tree()?,
        };
        tx.put(
            ENTERING,
            conversation.as_bytes(),
            &encode(&row).ok_or(Error::Damaged(conversation))?,
        )?;
        Ok(row.entering)
    }

    /// The same where this device can't follow its group, and nobody gives a GroupInfo of it: by one of its own making.
    /// Nobody else can apply that commit, so that all come in again after it: the last way, not the first one.
    ///
    /// # Errors
    /// [`Error::NoWay`] where this device follows its group, or sees nothing of it.
    pub fn enter_anew(&mut self, tx: &Writer<'_>, conversation: ConversationId, entry: EntryId, epoch: u64) -> Result<Entering, Error> {
        let seen = rows::stranded(tx, conversation)?.filter(|seen| !seen.expose().is_empty());
        let observer = Observer::from_bytes(seen.ok_or(Error::NoWay)?.expose())?;
        let group_info = self.engine.new_way(&observer)?;
        self.enter(tx, conversation, entry, &group_info, epoch)
    }

    /// Whether this device stands in a group already, by its GroupInfo: it was invited, or has lost its state.
    ///
    /// # Errors
    /// [`crate::mls::GroupError::Unexpected`].
    pub fn has_a_place(&self, group_info: &[u8]) -> Result<bool, Error> {
        Ok(self.engine.has_a_place(group_info)?)
    }

    /// The MLS epoch that a GroupInfo is of.
    ///
    /// # Errors
    /// [`crate::mls::GroupError::Unexpected`].
    pub fn epoch_of(&self, group_info: &[u8]) -> Result<u64, Error> {
        Ok(self.engine.epoch_of(group_info)?)
    }

    /// The commit that is under way, if one is.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn entering(&self, tx: &Reader<'_>, conversation: ConversationId) -> Result<Option<Entering>, Error> {
        Ok(find(tx, conversation)?.map(|row| row.entering))
    }

    /// The commit stands in the log under this number: from now on this is a conversation like any other. False where
    /// nothing was under way, or an invitation was faster; and where this device was in before: then the commit is
    /// taken from the log, in its place.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn entered(&mut self, tx: &Writer<'_>, conversation: ConversationId, seq: u64) -> Result<bool, Error> {
        if rows::stranded(tx, conversation)?.is_some() {
            return Ok(false);
        }
        let Some(Row { entering, state, tree }) = find(tx, conversation)? else {
            return Ok(false);
        };
        tx.delete(ENTERING, conversation.as_bytes())?;
        if rows::find_position(tx, conversation)?.is_some_and(|known| !known.out) {
            return Ok(false);
        }
        let group = self.engine.load(conversation, state, &tree)?;
        self.live.remove(&conversation);
        outbox::keep_unsent(tx, conversation)?;
        rows::forget(tx, conversation)?;
        let me = self.me();
        let entry = LogEntry {
            seq,
            entry: entering.entry,
            kind: KIND_COMMIT,
            from: Some((me.account, me.device)),
            epoch: Some(entering.epoch),
            block: Block::Bytes(&entering.commit),
        };
        let mut position = Position {
            seq: seq.saturating_sub(1),
            head: None,
            server_epoch: entering.epoch.saturating_add(1),
            mls_epoch: group.epoch(),
            version: 0,
            out: false,
            joining: Some(Joining::alone(seq)),
            unproven: Some(0),
        };
        heads::advance(tx, conversation, &mut position, &entry)?;
        self.store(tx, conversation, &mut position, group, true)?;
        rows::put_position(tx, conversation, &position)?;
        Ok(true)
    }

    /// The commit will never stand in the log: somebody else's did. Says whether one was under way.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn give_up_entering(&self, tx: &Writer<'_>, conversation: ConversationId) -> Result<bool, Error> {
        Ok(tx.delete(ENTERING, conversation.as_bytes())?)
    }
}

/// The commit that is under way, where this entry of the log is it; it is under way no longer.
pub(super) fn take_if_it_is(tx: &Writer<'_>, conversation: ConversationId, entry: &LogEntry<'_>) -> Result<Option<Row>, Error> {
    let found = find(tx, conversation)?;
    let found = found.filter(|row| row.entering.entry == entry.entry && Block::Bytes(&row.entering.commit) == entry.block);
    if found.is_some() {
        tx.delete(ENTERING, conversation.as_bytes())?;
    }
    Ok(found)
}

fn find(tx: &Reader<'_>, conversation: ConversationId) -> Result<Option<Row>, Error> {
    match tx.get(ENTERING, conversation.as_bytes())? {
        Some(row) => decode(row.expose()).map(Some).ok_or(Error::Damaged(conversation)),
        None => Ok(None),
    }
}

fn encode(row: &Row) -> Option<Zeroizing<Vec<u8>>> {
    let entering = &row.entering;
    let parts = [&entering.commit, &entering.group_info, &*row.state, &row.tree];
    let room = 24 + parts.iter().map(|part| 4 + part.len()).sum::<usize>();
    // Never grown: no copy of the secrets stays behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    bytes.extend(entering.entry.0);
    bytes.extend(entering.epoch.to_be_bytes());
    for part in parts {
        bytes.extend(u32::try_from(part.len()).ok()?.to_be_bytes());
        bytes.extend(part);
    }
    Some(bytes)
}

fn decode(bytes: &[u8]) -> Option<Row> {
    let (entry, rest) = bytes.split_first_chunk()?;
    let (epoch, mut rest) = rest.split_first_chunk()?;
    let mut part = || {
        let (length, after) = rest.split_first_chunk()?;
        let (part, after) = after.split_at_checked(u32::from_be_bytes(*length).try_into().ok()?)?;
        rest = after;
        Some(part.to_vec())
    };
    let row = Row {
        entering: Entering {
            entry: EntryId(*entry),
            epoch: u64::from_be_bytes(*epoch),
            commit: part()?,
            group_info: part()?,
        },
        state: Zeroizing::new(part()?),
        tree: part()?,
    };
    rest.is_empty().then_some(row)
}
