//! The task that takes what the session brings into the profile.

use super::{
    enter::Attempt,
    marks,
    shared::Shared,
    steward::{compare_soon, soon},
    typing,
};
use crate::{
    entry::Entry,
    fault::{self, Fault},
    ids::Seal,
    problem::Problem,
    profile::{
        Profile,
        history::Event,
        take::{self, Next},
    },
    session::{Ended, Session, SessionEvent},
};
use fastchat_wire::{LogId, chat::remove_device::DeviceChange};
use std::{
    collections::{HashMap, HashSet},
    future::ready,
    sync::Arc,
};

/// Entries that are taken in one transaction.
const BATCH_ENTRIES_MAX: usize = 64;

/// Runs until the session is over.
pub(super) async fn run(shared: Arc<Shared>, mut session: Session) {
    let ended = loop {
        if let Err(ended) = turn(&shared, &mut session).await {
            break ended;
        }
    };
    shared.tell(|status| {
        status.server = None;
        status.ended = Some(ended);
    });
}

async fn turn(shared: &Arc<Shared>, session: &mut Session) -> Result<(), Ended> {
    let mut event = session.next().await?;
    let mut entries = Vec::new();
    while let SessionEvent::Entry { entry, .. } = event {
        entries.push(entry);
        if entries.len() == BATCH_ENTRIES_MAX {
            return take_all(shared, entries).await;
        }
        event = tokio::select! {
            biased;
            event = session.next() => event?,
            () = ready(()) => return take_all(shared, entries).await,
        };
    }
    if !entries.is_empty() {
        take_all(shared, entries).await?;
    }
    other(shared, event).await
}

/// Takes entries into the profile, and says what is to be done after them.
async fn take_all(shared: &Arc<Shared>, entries: Vec<Entry>) -> Result<(), Ended> {
    let entries: Arc<[Entry]> = entries.into();
    let batch = Arc::clone(&entries);
    let together = shared
        .profile
        .run(move |profile| profile.change(|groups, tx| batch.iter().map(|entry| take::take(groups, tx, entry)).collect()))
        .await;
    let next: Vec<Next> = match together {
        Ok(next) => next,
        Err(Problem::Store(error)) => return Err(Ended::Unkept(crate::Unkept(error.to_string()))),
        // One of them is at fault: the others go on without it.
        Err(_) => one_by_one(shared, Arc::clone(&entries)).await?,
    };
    for entry in entries.iter() {
        shared.handle.delivered(entry);
    }
    follow_up(shared, next).await.map_err(unkept)
}

/// Asks for what is to be done after entries that were taken.
///
/// # Errors
/// The store.
pub(super) async fn follow_up(shared: &Arc<Shared>, next: Vec<Next>) -> Result<(), Problem> {
    let moves = |next: &Next| matches!(next, Next::Moved | Next::Mend(_) | Next::ComeBack(_));
    if next.iter().any(moves) {
        shared.handle.wake();
    }
    for next in &next {
        match next {
            Next::Mend(_) => fault::point(Fault::Skipped),
            Next::ComeBack(_) => fault::point(Fault::Stranded),
            _ => {}
        }
    }
    let (mut to_tidy, mut to_mend) = (Vec::new(), Vec::new());
    shared.ask(|errands| {
        for next in next {
            if moves(&next) {
                (errands.wishes, errands.acquaint) = (true, true);
            }
            match next {
                Next::Nothing | Next::Moved => {}
                Next::Join => errands.join = true,
                Next::CatchUp(conversation) => errands.behind.extend([conversation]),
                Next::Tidy(conversation) => to_tidy.push(conversation),
                Next::Mend(conversation) => to_mend.push(conversation),
                // What was tried before counts on: a flood of commits puts nothing off.
                Next::ComeBack(conversation) => errands.enter.entry(conversation).or_insert_with(Attempt::first).at_once(),
            }
        }
    });
    for conversation in to_mend {
        let at = soon(shared, conversation).await?;
        shared.ask(|errands| _ = errands.mend.insert(conversation, at));
    }
    compare_soon(shared, to_tidy).await
}

async fn one_by_one(shared: &Arc<Shared>, entries: Arc<[Entry]>) -> Result<Vec<Next>, Ended> {
    let mut all = Vec::new();
    for at in 0..entries.len() {
        let entries = Arc::clone(&entries);
        let (log, seq) = (entries[at].log(), entries[at].seq());
        let taken = shared
            .profile
            .run(move |profile| profile.change(|groups, tx| take::take(groups, tx, &entries[at])))
            .await;
        match taken {
            Ok(next) => all.push(next),
            Err(Problem::Store(error)) => return Err(Ended::Unkept(crate::Unkept(error.to_string()))),
            Err(problem) => tracing::error!(%log, seq, %problem, "an entry that can't be taken"),
        }
    }
    Ok(all)
}

async fn other(shared: &Arc<Shared>, event: SessionEvent) -> Result<(), Ended> {
    match event {
        SessionEvent::Live { server, .. } => {
            shared.tell(|status| (status.server, status.away) = (Some(server), None));
            shared.try_again();
            shared.ask(|errands| {
                (errands.join, errands.wishes, errands.acquaint) = (true, true, true);
                (errands.keep_up, errands.renew) = (true, true);
            });
        }
        SessionEvent::Away { reason, retry_after } => {
            shared.session_caught_up(false);
            shared.tell(|status| (status.server, status.away) = (None, Some((reason, retry_after))));
            shared.presence.send_modify(HashMap::clear);
        }
        SessionEvent::Listed(listing) => {
            shared.listed(&listing);
            let listed: HashSet<LogId> = listing.conversations.iter().map(|found| found.conversation).collect();
            verify_unlisted(shared, listed).await?;
        }
        SessionEvent::CaughtUp => {
            // By now all invitations were heard of.
            shared.ask(|errands| errands.outside = true);
            shared.session_caught_up(true);
        }
        SessionEvent::Gap { log, after, first } => note_gap(shared, log, after, first).await?,
        SessionEvent::NotMember(log) => shared.ask(|errands| errands.verify.extend([log.sealed()])),
        SessionEvent::Device(device) if device.change == DeviceChange::Added => {
            shared.ask(|errands| errands.new_devices.extend([device.account.sealed()]));
        }
        SessionEvent::Presence(told) => shared
            .presence
            .send_modify(|known| _ = known.insert(told.account.sealed(), told.online)),
        // Settled in the outbox already; whoever waits for it looks there.
        SessionEvent::Sent { .. } | SessionEvent::Refused { .. } => shared.ask(|errands| errands.wishes = true),
        SessionEvent::Mark(told) => hint(marks::heard(shared, told).await)?,
        SessionEvent::Signal(told, block) => hint(typing::heard(shared, told, block).await)?,
        SessionEvent::Entry { .. } | SessionEvent::StoreChanged | SessionEvent::Device(_) => {}
    }
    Ok(())
}

/// A hint is no reason to end: where it is about nothing that this device knows, it is dropped.
fn hint(taken: Result<(), Problem>) -> Result<(), Ended> {
    match taken {
        Err(Problem::Store(error)) => Err(Ended::Unkept(crate::Unkept(error.to_string()))),
        Err(problem) => {
            tracing::debug!(%problem, "a hint that leads nowhere");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Conversations that this device is in and the server's list is without: it was removed meanwhile.
async fn verify_unlisted(shared: &Arc<Shared>, listed: HashSet<LogId>) -> Result<(), Ended> {
    let rooms = shared.profile.run(Profile::rooms).await.map_err(unkept)?;
    let missing: Vec<_> = rooms
        .iter()
        .filter(|room| !room.out && !listed.contains(&crate::ids::Expose::wire(room.conversation)))
        .map(|room| room.conversation)
        .collect();
    shared.ask(|errands| errands.verify.extend(missing));
    Ok(())
}

/// Entries that can't be had any more.
async fn note_gap(shared: &Arc<Shared>, log: LogId, after: u64, first: u64) -> Result<(), Ended> {
    if first <= shared.readable_from(log) {
        // This account was out in between: that is no loss.
        return Ok(());
    }
    let noted = shared.profile.run(move |profile| {
        profile.change(|groups, tx| {
            let conversation = log.sealed();
            // Entries from before this device came are nobody's loss.
            match groups.cursor(tx, conversation) {
                Ok(seq) if seq >= after && first > seq + 1 && !take::is_noted_lost(tx, conversation, seq)? => {
                    take::add_own(groups, tx, conversation, crate::clock::now_ms(), Event::Lost(seq + 1, first - 1))
                }
                _ => Ok(()),
            }
        })
    });
    noted.await.map_err(unkept)
}

fn unkept(problem: Problem) -> Ended {
    match problem {
        Problem::Ended(ended) => ended,
        other => Ended::Unkept(crate::Unkept(other.to_string())),
    }
}
