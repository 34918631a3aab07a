//! What handlers tell connections, here and on the other servers, beside entries.

use crate::store::accounts::SessionId;
use fastchat_wire::{
    AccountId, DeviceId, LogId,
    chat::{mark::MarkEvent, remove_device::DeviceEvent},
};
use tokio::sync::mpsc;

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
    Mark(LogId, MarkEvent),
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

/// News that wait to be told.
const NEWS_QUEUE: usize = 1_024;
