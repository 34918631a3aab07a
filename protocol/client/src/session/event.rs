//! What a session tells its consumer.

use crate::{chat::Listing, entry::Entry, error::Refused};
use bytes::Bytes;
use fastchat_wire::{
    AccountId, DeviceId, EntryId, LogId,
    chat::{append::Appended, mark::MarkEvent, presence::Presence, remove_device::DeviceEvent, signal::SignalEvent},
};
use std::{sync::Arc, time::Duration};

/// What a session tells its consumer, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// Signed in on a server: at first, after a loss, and after a move.
    Live {
        /// The server's name.
        server: String,
        /// The own account.
        account: AccountId,
        /// The own device.
        device: DeviceId,
    },
    /// No server; the session is looking for one.
    Away {
        /// Why, for a person.
        reason: String,
        /// The next try is after so long.
        retry_after: Duration,
    },
    /// What the account can read, at sign-in and after pushes were lost.
    /// Marks, presence and devices may have changed: ask `members` where it matters.
    Listed(Arc<Listing>),
    /// Everything that the last [`Self::Listed`] named was handed out, and
    /// nothing newer is known of: what a short errand waits for.
    CaughtUp,
    /// The next entry of its log. Own ones too, from whichever device.
    Entry {
        /// The entry.
        entry: Entry,
        /// The store that its number belongs to: for [`crate::Session::processed`].
        store: Arc<str>,
    },
    /// Entries that can't be had (any more).
    Gap {
        /// Which log.
        log: LogId,
        /// The cursor before it.
        after: u64,
        /// The first entry that can be read.
        first: u64,
    },
    /// The fleet has another store, or went back to a backup: all cursors
    /// start over, and entries that were seen may come again.
    StoreChanged,
    /// This account can't read the log (any more).
    NotMember(LogId),
    /// An entry of the outbox stands in its log.
    Sent {
        /// Which log.
        log: LogId,
        /// Which entry.
        entry: EntryId,
        /// Its number and time.
        appended: Appended,
    },
    /// An entry of the outbox never will.
    Refused {
        /// Which log.
        log: LogId,
        /// Which entry.
        entry: EntryId,
        /// Why.
        refused: Refused,
    },
    /// A hint: somebody's watermarks.
    Mark(MarkEvent),
    /// A hint: somebody's signal, with its block.
    Signal(SignalEvent, Bytes),
    /// A hint: a device came or went.
    Device(DeviceEvent),
    /// A hint: somebody came or went.
    Presence(Presence),
}
