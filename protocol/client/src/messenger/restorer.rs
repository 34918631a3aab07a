//! The task that reads the account's archive, newest first, where the profile says that it is to be read.
//!
//! All of it is looked through before anything is taken (`profile::restore`). Begins with one batch and goes on with more
//! at a time, as far as one answer carries them: what is in memory stays bounded, however long the archive is. What was read stands in the profile: an interruption costs nothing.

use super::{Messenger, PATIENCE, shared::Shared};
use crate::{
    Connection, Entry, chat,
    fault::{self, Fault},
    ids::Expose,
    limits::FETCH_PAGE,
    problem::Problem,
    profile::{
        restore::{self, Compared, State, Stretch},
        take,
    },
    receipt::Receipt,
};
use fastchat_e2e::{ConversationId, archive::KIND_RECORD};
use fastchat_wire::{Code, LogId};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::sleep;

/// Entries that are read at a time, at most.
const WINDOW_MAX: u64 = 32;
/// What is kept in memory between looking at entries and taking what is in them: an archive of some 20,000 messages is
/// fetched once.
const KEPT_BYTES_MAX: usize = 8 << 20;
/// After a setback; doubled with each further one in a row.
const PAUSE: Duration = Duration::from_millis(500);
/// Its longest, as a power of two.
const DOUBLINGS_MAX: u32 = 5;
/// Conversations whose heads are looked up at a time.
const HEADS_AT_ONCE: u32 = 64;

/// How far a restore got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restoring {
    /// Batches that were read; one that was only looked at counts half.
    pub done: u64,
    /// Batches in the archive.
    pub total: u64,
    /// Messages that came back so far.
    pub messages: u64,
}

/// How it is read, in this process.
struct Pace {
    /// Entries of the next step.
    window: u64,
    /// The newest entries that were looked at, to be taken without another fetch.
    kept: BTreeMap<u64, Entry>,
    /// What they count.
    bytes: usize,
}

impl Pace {
    /// Keeps what was looked at, as far as there is room: each step's entries are older than those before.
    fn keep(&mut self, entries: &[Entry]) {
        for entry in entries.iter().rev() {
            self.bytes += entry.cost();
            if self.bytes > KEPT_BYTES_MAX {
                // Nothing older either: what is kept has no holes.
                return;
            }
            self.kept.insert(entry.seq(), entry.clone());
        }
    }

    /// What is kept of these numbers, if it reaches up to the last of them; the rest is forgotten.
    fn take(&mut self, low: u64, high: u64) -> Vec<Entry> {
        let mut these = self.kept.split_off(&low);
        these.retain(|seq, _| *seq <= high);
        match these.contains_key(&high) {
            true => these.into_values().collect(),
            false => Vec::new(),
        }
    }
}

/// Runs until the archive was read, or can't be.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut setbacks = 0;
    let mut pace = Pace {
        window: 1,
        kept: BTreeMap::new(),
        bytes: 0,
    };
    loop {
        match step(&shared, &mut pace).await {
            Ok(true) => setbacks = 0,
            Ok(false) => return,
            Err(problem) if problem.is_passing() => {
                tracing::debug!(%problem, "restoring has to wait");
                sleep(PAUSE * (1 << setbacks.min(DOUBLINGS_MAX))).await;
                setbacks += 1;
            }
            Err(problem) => {
                tracing::warn!(%problem, "the history can't be restored");
                return;
            }
        }
    }
}

/// Takes a step; false where there is nothing to restore.
async fn step(shared: &Arc<Shared>, pace: &mut Pace) -> Result<bool, Problem> {
    let Some(state) = shared.profile.run(|profile| profile.read(restore::state)).await? else {
        return Ok(false);
    };
    let connection = shared.connection().await?;
    let me = shared.profile.run(|profile| profile.look(|groups, _| Ok(groups.me()))).await?;
    let log = LogId::archive_of(me.account.wire());
    if !state.is_read() {
        if state.next == state.top {
            // The newest is known at once.
            pace.window = 1;
            if !state.looked {
                (pace.kept, pace.bytes) = (BTreeMap::new(), 0);
            }
        }
        read(shared, &connection, log, &state, pace).await?;
        fault::point(if state.looked { Fault::Restored } else { Fault::Looking });
        return Ok(true);
    }
    let last = chat::fetch_some(&connection, log, state.top, 1).await?.last_seq;
    if last > state.top {
        shared
            .profile
            .run(move |profile| profile.write(|tx| restore::stretch(tx, last)))
            .await?;
        return Ok(true);
    }
    let compared = compare_heads(shared, &connection).await?;
    shared
        .profile
        .run(move |profile| {
            profile.write(|tx| restore::finish(tx, state.top, &compared))?;
            profile.changed();
            Ok(())
        })
        .await?;
    Ok(true)
}

/// Reads the next entries: looks at them, or takes what is in them.
async fn read(shared: &Arc<Shared>, connection: &Connection, log: LogId, state: &State, pace: &mut Pace) -> Result<(), Problem> {
    let (high, looked) = (state.next, state.looked);
    let mut reached = high.saturating_sub(pace.window).max(state.through) + 1;
    let wanted = high - reached + 1;
    let mut entries = match looked {
        true => pace.take(reached, high),
        false => Vec::new(),
    };
    if let Some(first) = entries.first() {
        reached = first.seq();
    } else {
        let limit = u32::try_from(wanted).unwrap_or(FETCH_PAGE);
        let page = chat::fetch_some(connection, log, reached - 1, limit).await?;
        let first = page.first_seq.max(reached);
        entries = page.entries;
        entries.retain(|entry| entry.seq() <= high);
        let follow = entries
            .iter()
            .zip(first..)
            .all(|(entry, seq)| entry.log() == log && entry.seq() == seq);
        if !follow || (first <= high && entries.is_empty()) {
            return Err(Problem::CannotConnect(format!(
                "the server does not give entry {first} of your archive, which it says is there: ask its operator"
            )));
        }
        if entries.last().is_some_and(|last| last.seq() < high) {
            // More than one answer carries: fewer at a time.
            pace.window = (wanted / 2).max(1);
            return Ok(());
        }
        if first > reached {
            // What the server does not keep any more is a hole in its device's batches; there is nothing before it.
            reached = state.through + 1;
        }
        if !looked {
            pace.keep(&entries);
        }
    }
    pace.window = (wanted * 2).min(WINDOW_MAX);
    let taken = shared.profile.run(move |profile| {
        let Some(opener) = profile.read(restore::opener)? else {
            return Ok(());
        };
        let open = |entry: &Entry| match entry.head.kind.as_str() {
            KIND_RECORD => opener.open(&entry.block),
            _ => Err(fastchat_e2e::archive::ArchiveError::Malformed),
        };
        let opened: Vec<_> = entries.iter().rev().map(|entry| (entry.seq(), open(entry))).collect();
        match looked {
            true => profile.change(|groups, tx| restore::take(groups, tx, high, reached, &opened)),
            false => {
                profile.write(|tx| restore::look(tx, high, reached, &opened))?;
                profile.changed();
                Ok(())
            }
        }
    });
    taken.await
}

/// Compares what the server shows of each conversation with two heads that the account's devices have seen there.
async fn compare_heads(shared: &Arc<Shared>, connection: &Connection) -> Result<Vec<Compared>, Problem> {
    let mut compared = Vec::new();
    let mut after: Option<ConversationId> = None;
    loop {
        let some = shared
            .profile
            .run(move |profile| profile.read(|tx| restore::heads(tx, after, HEADS_AT_ONCE)));
        let some = some.await?;
        let Some((last, _)) = some.last() else {
            return Ok(compared);
        };
        after = Some(*last);
        for (conversation, stretch) in some {
            let Some(stretch) = stretch else { continue };
            if let Some(same) = is_shown(connection, conversation, stretch).await? {
                let seq = stretch.to.seq;
                compared.push(Compared { conversation, seq, same });
            }
        }
    }
}

/// Whether the log leads from one head to the other; none where that can't be seen with one answer.
async fn is_shown(connection: &Connection, conversation: ConversationId, stretch: Stretch) -> Result<Option<bool>, Problem> {
    let (from, to) = (stretch.from, stretch.to);
    let Some(length) = u32::try_from(to.seq.saturating_sub(from.seq))
        .ok()
        .filter(|length| (1..=FETCH_PAGE).contains(length))
    else {
        return Ok(None);
    };
    let page = match chat::fetch_some(connection, conversation.wire(), from.seq, length)
        .await
        .map_err(Problem::from)
    {
        Err(Problem::Refused(refused)) if refused.code == Code::NotMember => return Ok(None),
        page => page?,
    };
    if page.first_seq > from.seq + 1 || (page.entries.len() < length as usize && page.more) {
        return Ok(None);
    }
    let mut head = from;
    for entry in &page.entries {
        let entry = take::log_entry(entry);
        match head.next_hashed(entry.entry, entry.kind, &entry.block.sha256()) {
            Ok(next) if next.seq == entry.seq => head = next,
            _ => return Ok(Some(false)),
        }
    }
    Ok(Some(head == to))
}

impl Messenger {
    /// Waits until the account's archive was read into the profile, and gives the receipt; none where nothing was ever
    /// restored. It is read as long as the device is online, whether somebody waits or not. Cancel-safe.
    ///
    /// # Errors
    /// `timed-out` where nothing comes for a minute with a server: it goes on whenever the device is online.
    pub async fn restored(&self, mut each: impl FnMut(Restoring)) -> Result<Option<Receipt>, Problem> {
        let mut seen = None;
        loop {
            let last = seen;
            let look = move |profile: &crate::profile::Profile| {
                profile.read(|tx| {
                    let Some(state) = restore::state(tx)? else {
                        return Ok(Some(Err(restore::receipt(tx)?)));
                    };
                    let (done, total) = state.progress();
                    let restoring = Restoring {
                        done,
                        total,
                        messages: state.receipt.restored,
                    };
                    Ok((last != Some(restoring)).then_some(Ok(restoring)))
                })
            };
            match self.until(Some(PATIENCE), look).await? {
                Some(Ok(restoring)) => {
                    each(restoring);
                    seen = Some(restoring);
                }
                Some(Err(receipt)) => return Ok(receipt),
                None => {
                    return Err(Problem::declined(
                        "timed-out",
                        "nothing came from your archive for a minute: the history is not whole yet; `fastchat restore` goes on",
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::chat::entry::EntryEvent;

    fn entries(numbers: std::ops::RangeInclusive<u64>, bytes: usize) -> Vec<Entry> {
        let entry = |seq| Entry {
            head: EntryEvent {
                log: LogId([1; 16]),
                seq,
                at: 1,
                kind: KIND_RECORD.to_owned(),
                entry: fastchat_wire::EntryId([2; 16]),
                from: None,
                device: None,
                epoch: None,
                block_sha256: None,
            },
            block: vec![0; bytes].into(),
        };
        numbers.map(entry).collect()
    }

    fn numbers(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(Entry::seq).collect()
    }

    #[test]
    fn the_newest_entries_are_kept_without_a_hole_and_the_first_that_is_too_much_is_not() {
        let mut pace = Pace {
            window: 1,
            kept: BTreeMap::new(),
            bytes: 0,
        };
        pace.keep(&entries(10..=10, 100));
        pace.keep(&entries(7..=9, KEPT_BYTES_MAX / 2 - 1_000));
        pace.keep(&entries(6..=6, 1));
        assert_eq!(numbers(&pace.take(10, 10)), [10]);
        assert_eq!(numbers(&pace.take(6, 9)), [8, 9], "7 was too much, and so is all that is older");
        assert_eq!(numbers(&pace.take(4, 7)), Vec::<u64>::new());
    }
}
