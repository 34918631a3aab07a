//! What handlers tell connections, here and on the other servers, beside entries.

use super::{
    delivery::{Delivery, Hint, Origin},
    hub::{Hub, Whose},
    peers::{ACCOUNTS_PER_MESSAGE, Peers},
};
use crate::{
    bus::Message,
    store::{Store, accounts::SessionId},
};
use fastchat_wire::{
    AccountId, DeviceId, LogId,
    chat::{mark::MarkEvent, remove_device::DeviceEvent},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Connections of this session are to end.
    SessionEnded(SessionId),
    /// Connections of this device are to end.
    DeviceEnded(DeviceId),
    /// Connections of this account are to end.
    AccountEnded(AccountId),
    /// A device came or went; told to these accounts.
    Device(DeviceEvent, Vec<AccountId>),
    /// Watermarks moved; told to the members of the conversation.
    Mark(MarkEvent),
}

/// Where handlers leave their news; bounded, the handler waits.
#[derive(Debug, Clone)]
pub(crate) struct Announcer(mpsc::Sender<News>);

impl Announcer {
    /// An announcer and where its news come out.
    pub(crate) fn new() -> (Self, mpsc::Receiver<News>) {
        let (sender, receiver) = mpsc::channel(NEWS_QUEUE);
        (Self(sender), receiver)
    }

    /// Tells it.
    pub(crate) async fn announce(&self, news: News) {
        // The receiver ends with the server; then there is nobody to tell.
        let _ = self.0.send(news).await;
    }
}

/// Tells what handlers announce, here and to the other servers, until the last
/// announcer is gone. Marks are coalesced to one a second for each account and
/// conversation.
pub(crate) async fn run(mut news: mpsc::Receiver<News>, store: Arc<dyn Store>, hub: Arc<Hub>, peers: Arc<Peers>, delivery: Delivery) {
    let mut marks: HashMap<(LogId, AccountId), MarkEvent> = HashMap::new();
    let mut flush = interval(MARKS_INTERVAL);
    // It is not asked while there are none: what was missed is not made up for.
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            next = news.recv() => match next {
                Some(News::SessionEnded(session)) => {
                    hub.end(Whose::Session(session));
                    peers.broadcast(&Message::SessionEnded(session.0));
                }
                Some(News::DeviceEnded(device)) => {
                    hub.end(Whose::Device(device));
                    peers.broadcast(&Message::DeviceEnded(device));
                }
                Some(News::AccountEnded(account)) => {
                    hub.end(Whose::Account(account));
                    peers.broadcast(&Message::AccountEnded(account));
                }
                Some(News::Device(event, to)) => {
                    peers.tell_accounts(&event, &to);
                    for to in to.chunks(ACCOUNTS_PER_MESSAGE) {
                        peers.broadcast(&Message::Device(event.clone(), to.to_vec()));
                    }
                }
                Some(News::Mark(mark)) => {
                    let told = marks.entry((mark.conversation, mark.account)).or_insert_with(|| mark.clone());
                    told.delivered = told.delivered.max(mark.delivered);
                    told.read = told.read.max(mark.read);
                }
                None => return,
            },
            _ = flush.tick(), if !marks.is_empty() => tell_marks(&mut marks, &*store, &delivery).await,
        }
    }
}

/// Tells marks to who is a member now, which is later than when they were made.
/// They are hints: where the store can't say who that is, they are not told.
async fn tell_marks(marks: &mut HashMap<(LogId, AccountId), MarkEvent>, store: &dyn Store, delivery: &Delivery) {
    let mut logs: Vec<LogId> = marks.keys().map(|(log, _)| *log).collect();
    logs.sort_unstable();
    logs.dedup();
    let mut versions = HashMap::with_capacity(logs.len());
    for chunk in logs.chunks(VERSIONS_CHUNK) {
        match store.roster_versions(chunk).await {
            Ok(read) => versions.extend(read),
            Err(error) => tracing::warn!(%error, "rosters can't be read: marks are not told"),
        }
    }
    for ((log, _), mark) in marks.drain() {
        if let Some(members_seq) = versions.get(&log) {
            delivery.hint(Hint::Mark(mark), *members_seq, Origin::Here).await;
        }
    }
}

/// Logs whose rosters' versions are read at once.
const VERSIONS_CHUNK: usize = 500;

/// Between two `mark` events of one account in one conversation.
const MARKS_INTERVAL: Duration = Duration::from_secs(1);

/// News that wait to be told.
const NEWS_QUEUE: usize = 1_024;
