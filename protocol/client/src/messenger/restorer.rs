//! The task that reads the account's archive, newest first, where the profile says that it is to be read.
//!
//! Begins with one batch and goes on with more at a time, as far as one answer carries them: what is in memory stays
//! bounded, however long the archive is. What was read stands in the profile: an interruption costs nothing.

use super::{Messenger, PATIENCE, shared::Shared};
use crate::{
    Connection, chat,
    fault::{self, Fault},
    ids::Expose,
    limits::FETCH_PAGE,
    problem::Problem,
    profile::{
        restore::{self, Compared, Stretch},
        take,
    },
    receipt::Receipt,
};
use fastchat_e2e::{ConversationId, archive::KIND_RECORD};
use fastchat_wire::{Code, LogId};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// Entries that are read at a time, at most.
const WINDOW_MAX: u64 = 32;
/// After a setback; doubled with each further one in a row.
const PAUSE: Duration = Duration::from_millis(500);
/// Its longest, as a power of two.
const DOUBLINGS_MAX: u32 = 5;
/// Conversations whose heads are looked up at a time.
const HEADS_AT_ONCE: u32 = 64;

/// How far a restore got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restoring {
    /// Batches that were read.
    pub done: u64,
    /// Batches in the archive.
    pub total: u64,
    /// Messages that came back so far.
    pub messages: u64,
}

/// Runs until the archive was read, or can't be.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut setbacks = 0;
    let mut window = 1;
    loop {
        match step(&shared, &mut window).await {
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
async fn step(shared: &Arc<Shared>, window: &mut u64) -> Result<bool, Problem> {
    let Some(state) = shared.profile.run(|profile| profile.read(restore::state)).await? else {
        return Ok(false);
    };
    let connection = shared.connection().await?;
    let me = shared.profile.run(|profile| profile.look(|groups, _| Ok(groups.me()))).await?;
    let log = LogId::archive_of(me.account.wire());
    if !state.is_read() {
        let low = state.next.saturating_sub(*window).max(state.through) + 1;
        *window = read(shared, &connection, log, low, state.next).await?;
        fault::point(Fault::Restored);
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

/// Reads the entries of these numbers; gives how many to read the next time.
async fn read(shared: &Arc<Shared>, connection: &Connection, log: LogId, low: u64, high: u64) -> Result<u64, Problem> {
    let wanted = high - low + 1;
    let limit = u32::try_from(wanted).unwrap_or(FETCH_PAGE);
    let page = chat::fetch_some(connection, log, low - 1, limit).await?;
    // What the server does not keep any more is a hole in its device's batches.
    let low = page.first_seq.max(low);
    let follow = page
        .entries
        .iter()
        .zip(low..)
        .all(|(entry, seq)| entry.log() == log && entry.seq() == seq);
    if !follow || (low <= high && page.entries.is_empty()) {
        return Err(Problem::CannotConnect(format!(
            "the server does not give entry {low} of your archive, which it says is there: ask its operator"
        )));
    }
    if page.entries.last().is_some_and(|last| last.seq() < high) {
        // More than one answer carries: fewer at a time.
        return Ok((wanted / 2).max(1));
    }
    let taken = shared.profile.run(move |profile| {
        let Some(opener) = profile.read(restore::opener)? else {
            return Ok(());
        };
        let open = |entry: &crate::Entry| match entry.head.kind.as_str() {
            KIND_RECORD => opener.open(&entry.block),
            _ => Err(fastchat_e2e::archive::ArchiveError::Malformed),
        };
        let opened: Vec<_> = page.entries.iter().rev().map(|entry| (entry.seq(), open(entry))).collect();
        profile.change(|groups, tx| restore::take(groups, tx, high, low, &opened))
    });
    taken.await?;
    Ok((wanted * 2).min(WINDOW_MAX))
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
                    let restoring = Restoring {
                        done: state.top - state.next,
                        total: state.top - state.through,
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
