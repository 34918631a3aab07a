//! What comes from the account's archive: how far it was read, and what was found on the way.
//!
//! ```text
//!  archive log   1 ────────── through ············ next ━━━━━━━━━━━━ top
//!                read before           still to read     read
//! ```
//!
//! Newest first, and twice: once to see which batches count ([`index`]), once to take what is in them; what was said
//! last is there first. Each step is one transaction, and the next one begins where the profile says, in whichever
//! process and after whatever interruption. The backup seeds are kept, sealed, while there is something to read, and
//! deleted with the last step.

mod batches;
mod index;

use super::{
    contacts,
    history::{self, Came},
    identity, rooms,
    rows::{self, ONLY},
};
use crate::{problem::Problem, receipt::Receipt};
use fastchat_e2e::{
    ConversationId, DeviceId,
    archive::{ArchiveError, Batch, Opened, Opener, Room},
    groups::Groups,
    head::LogHead,
    secret::BackupSeed,
    store::{Reader, Scan, Table, Writer},
};
use serde::{Deserialize, Serialize};

/// → [`State`], while something is to be read.
const STATE: Table = Table::new("restoring");
/// u32 generation → a backup key's seed, while something is to be read.
const SEEDS: Table = Table::new("restoring-seed");
/// → what came of the last restore.
const RECEIPT: Table = Table::new("restored-receipt");
/// conversation → [`Room`]: the newest that the archive says of it.
const ROOMS: Table = Table::new("restored-room");

/// How far the archive was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Up to here everything was read in an earlier stretch.
    pub(crate) through: u64,
    /// The last number of the present stretch.
    pub(crate) top: u64,
    /// The next number to read; all above it, up to `top`, was read.
    pub(crate) next: u64,
    /// The present stretch was looked through: now what is in it is taken.
    #[serde(default)]
    pub(crate) looked: bool,
    /// What was found so far.
    pub(crate) receipt: Receipt,
}

impl State {
    /// True where the present stretch was read.
    pub(crate) fn is_read(&self) -> bool {
        self.next <= self.through && (self.looked || self.top == self.through)
    }

    /// Batches that were read, and batches of the stretch: one that was only looked at counts half.
    pub(crate) fn progress(&self) -> (u64, u64) {
        let (total, part) = (self.top - self.through, self.top - self.next);
        match self.looked {
            true => (u64::midpoint(total, part), total),
            false => (part / 2, total),
        }
    }
}

/// What a server showed of a conversation's log, compared with what the archive says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compared {
    pub(crate) conversation: ConversationId,
    pub(crate) seq: u64,
    pub(crate) same: bool,
}

/// From now on the archive is to be read, from its end to its beginning.
pub(crate) fn begin<'a>(tx: &Writer<'_>, seeds: impl IntoIterator<Item = (u32, &'a BackupSeed)>) -> Result<(), Problem> {
    batches::forget(tx)?;
    index::forget(tx)?;
    for (generation, seed) in seeds {
        tx.put(SEEDS, &generation.to_be_bytes(), seed.expose())?;
    }
    super::archive::begin_restored(tx)?;
    rows::put(tx, STATE, ONLY, &State::default())
}

/// How far it was read; none where nothing is to be read.
pub(crate) fn state(tx: &Reader<'_>) -> Result<Option<State>, Problem> {
    rows::get(tx, STATE, ONLY)
}

/// True while nothing of the archive was looked at yet, and something is to be.
pub(crate) fn is_before_first(tx: &Reader<'_>) -> Result<bool, Problem> {
    Ok(state(tx)?.is_some_and(|state| state.through == 0 && !state.looked && state.next == state.top))
}

/// The MLS epoch that the archive knows of in a conversation, at least: also by what was only looked at so far. One that
/// is made up keeps this device out until all was judged; none lets it in where it would not come by a true one.
pub(crate) fn mls_epoch(tx: &Reader<'_>, conversation: ConversationId) -> Result<u64, Problem> {
    let taken = room(tx, conversation)?.map_or(0, |room| room.mls_epoch);
    Ok(taken.max(index::mls_epoch(tx, conversation)?))
}

/// What the archive says was the last block of a device that was sent away, where it says one thing only.
pub(crate) fn last_of(tx: &Reader<'_>, device: DeviceId) -> Result<Option<[u8; 32]>, Problem> {
    Ok(match index::marks(tx, device)?[..] {
        [last] => Some(last),
        _ => None,
    })
}

/// What came of the last restore.
pub(crate) fn receipt(tx: &Reader<'_>) -> Result<Option<Receipt>, Problem> {
    rows::get(tx, RECEIPT, ONLY)
}

/// What opens the archive.
pub(crate) fn opener(tx: &Reader<'_>) -> Result<Option<Opener>, Problem> {
    let Some(credential) = identity::credential(tx)? else {
        return Ok(None);
    };
    let mut seeds = Vec::new();
    for (key, row) in tx.list(SEEDS, Scan::prefix(&[]))? {
        match (key[..].try_into().map(u32::from_be_bytes), row.expose().try_into()) {
            (Ok(generation), Ok(seed)) => seeds.push((generation, BackupSeed::new(seed))),
            _ => return Err(rows::damaged(SEEDS)),
        }
    }
    let me = credential.subject();
    Ok(Some(Opener::new(me.account, me.identity_key, seeds)))
}

/// The archive has entries up to this number: those beyond what was read are read next.
pub(crate) fn stretch(tx: &Writer<'_>, last: u64) -> Result<(), Problem> {
    let Some(mut state) = state(tx)? else { return Ok(()) };
    if state.is_read() && last > state.top {
        (state.through, state.top, state.next, state.looked) = (state.top, last, last, false);
        rows::put(tx, STATE, ONLY, &state)?;
    }
    Ok(())
}

/// Looks at opened entries, newest first, which end before `low`. With the last ones, all are judged. Nothing where
/// another process was faster.
pub(crate) fn look(tx: &Writer<'_>, from: u64, low: u64, entries: &[(u64, Result<Opened, ArchiveError>)]) -> Result<(), Problem> {
    let Some(mut state) = state(tx)?.filter(|state| !state.looked && state.next == from) else {
        return Ok(());
    };
    for (seq, opened) in entries {
        match opened {
            Ok(opened) => index::note(tx, *seq, opened)?,
            Err(error) => state.receipt.refuse(*seq, error.to_string()),
        }
    }
    state.next = low.saturating_sub(1).max(state.through);
    if state.next == state.through {
        index::judge(tx, state.through, &mut state.receipt)?;
        (state.next, state.looked) = (state.top, true);
    }
    rows::put(tx, STATE, ONLY, &state)
}

/// Takes opened entries that were looked at before, newest first, which end before `low`. Nothing where another process
/// was faster.
pub(crate) fn take(
    groups: &Groups,
    tx: &Writer<'_>,
    from: u64,
    low: u64,
    entries: &[(u64, Result<Opened, ArchiveError>)],
) -> Result<(), Problem> {
    let Some(mut state) = state(tx)?.filter(|state| state.looked && state.next == from) else {
        return Ok(());
    };
    let mut place = history::restored_next(tx)?;
    for (seq, opened) in entries {
        // What does not count was told when it was looked at.
        let Some(indexed) = index::get(tx, *seq)? else { continue };
        match opened {
            Ok(opened) if indexed.hash.0 == opened.hash => {
                let batch = opened.batch().map_err(|_| rows::damaged(STATE))?;
                state.receipt.batches += 1;
                take_batch(groups, tx, &mut state.receipt, &mut place, *seq, &batch)?;
                index::taken(tx, *seq, indexed)?;
            }
            _ => {
                index::lost(tx, *seq, &indexed)?;
                state.receipt.refuse(*seq, "the server showed another entry there just before");
            }
        }
    }
    state.next = low.saturating_sub(1).max(state.through);
    rows::put(tx, STATE, ONLY, &state)
}

fn take_batch(
    groups: &Groups,
    tx: &Writer<'_>,
    receipt: &mut Receipt,
    place: &mut u64,
    seq: u64,
    batch: &Batch<'_>,
) -> Result<(), Problem> {
    let me = groups.me().account;
    for record in &batch.records {
        let own_head = groups.head_at(tx, record.conversation, record.seq)?;
        if let Some((known, named)) = own_head.zip(record.head) {
            compare(receipt, record.conversation, record.seq, known == named);
        }
        match history::restore(tx, record, me, *place)? {
            Came::Added => {
                *place += 1;
                receipt.restored += 1;
            }
            Came::Known => {}
            Came::Differs => compare(receipt, record.conversation, record.seq, false),
            Came::Malformed => receipt.refuse(
                seq,
                format!(
                    "message {} of conversation {} in it is not in FastChat's form",
                    record.seq, record.conversation
                ),
            ),
        }
    }
    for pin in &batch.pins {
        if pin.account != me && !contacts::restore(tx, pin)? {
            let name = pin.username.escape_debug();
            receipt.refuse(
                seq,
                format!(
                    "it knows @{name} with another identity than this device does: `fastchat verify @{name}`, and compare the digits over another channel"
                ),
            );
        }
    }
    for room in &batch.rooms {
        take_room(groups, tx, receipt, room)?;
    }
    Ok(())
}

fn take_room(groups: &Groups, tx: &Writer<'_>, receipt: &mut Receipt, room: &Room) -> Result<(), Problem> {
    let own_head = groups.head_at(tx, room.conversation, room.seq)?;
    if let Some((known, named)) = own_head.zip(room.head) {
        compare(receipt, room.conversation, room.seq, known == named);
    }
    let known: Option<Room> = rows::get(tx, ROOMS, room.conversation.as_bytes())?;
    if let Some(known) = known.as_ref().filter(|known| known.seq == room.seq)
        && let Some((one, other)) = known.head.zip(room.head)
    {
        compare(receipt, room.conversation, room.seq, one == other);
    }
    if known.is_none_or(|known| (known.seq, known.head.is_some()) < (room.seq, room.head.is_some())) {
        rows::put(tx, ROOMS, room.conversation.as_bytes(), room)?;
    }
    let joined = groups.standing(tx, room.conversation).is_ok();
    rooms::restore(tx, room, joined)
}

fn compare(receipt: &mut Receipt, conversation: ConversationId, seq: u64, same: bool) {
    receipt.heads_compared += 1;
    if !same {
        receipt.differ(conversation, seq);
    }
}

/// The newest that the archive says of a conversation.
pub(crate) fn room(tx: &Reader<'_>, conversation: ConversationId) -> Result<Option<Room>, Problem> {
    rows::get(tx, ROOMS, conversation.as_bytes())
}

/// Some of the conversations that the archive speaks of, after this one: with two heads of the log each, as far apart
/// as they are.
pub(crate) fn heads(tx: &Reader<'_>, after: Option<ConversationId>, limit: u32) -> Result<Vec<(ConversationId, Option<Stretch>)>, Problem> {
    let scan = Scan {
        after: after.as_ref().map(|after| &after.as_bytes()[..]),
        limit,
        ..Scan::prefix(&[])
    };
    let found = tx.list(ROOMS, scan)?;
    let pairs = found.iter().map(|(_, row)| {
        let room: Room = rows::parse(ROOMS, row.expose())?;
        let Some(hash) = room.head else {
            return Ok((room.conversation, None));
        };
        let from = match history::restored_before(tx, room.conversation, room.seq)? {
            Some((seq, hash)) => LogHead { seq, hash },
            None => LogHead::start(room.conversation),
        };
        let to = LogHead { seq: room.seq, hash };
        Ok((room.conversation, Some(Stretch { from, to })))
    });
    pairs.collect()
}

/// Two heads of one log that the account's devices have seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    pub(crate) from: LogHead,
    pub(crate) to: LogHead,
}

/// All was read: the receipt is kept, and the seeds are deleted. Nothing where another process was faster, or the
/// archive has grown.
pub(crate) fn finish(tx: &Writer<'_>, top: u64, compared: &[Compared]) -> Result<(), Problem> {
    let Some(state) = state(tx)?.filter(|state| state.is_read() && state.top == top) else {
        return Ok(());
    };
    let mut receipt = state.receipt;
    for one in compared {
        compare(&mut receipt, one.conversation, one.seq, one.same);
    }
    index::finish(tx, &mut receipt)?;
    let missing = batches::look_for_holes(tx, &mut receipt)?;
    receipt.messages = receipt.restored + missing;
    rows::put(tx, RECEIPT, ONLY, &receipt)?;
    tx.delete(STATE, ONLY)?;
    for (key, _) in tx.list(SEEDS, Scan::prefix(&[]))? {
        tx.delete(SEEDS, &key)?;
    }
    Ok(())
}
