//! A device's conversations: MLS groups, logs and the outbox, over the sealed store.
//!
//! ```text
//!   create, commit, seal ──> outbox ──> (network) ──> acknowledged ─┐
//!                                                                   ├─> Received, in the log's order
//!   (network) ── entry of the log ────────────────> receive ────────┘
//! ```
//!
//! A device that nobody added comes in by itself: see [`Groups::enter`]; so does one that can't go on where it was:
//! see [`Groups::stranding`].
//!
//! Every call works within the caller's transaction. So the group's state, the outbox, the
//! cursor and what the caller keeps of a message are one change: after a crash either all
//! of it was done or nothing. **State first, then send**: bytes go to the network only once
//! the transaction that made them is on the disk, and a restart sends the same bytes again
//! ([`Groups::pending`]).
//!
//! Entries are taken strictly in the log's order, own ones too: an acknowledged entry waits
//! until the cursor is right before it. An entry that does not open never stops a log: it is
//! [`What::Unreadable`] or [`What::BadCommit`] with its cause, and the cursor goes on.
//!
//! Synchronous, and slow for large groups: keep it off the async threads.

mod commits;
mod error;
mod external;
mod heads;
mod key_packages;
mod outbox;
mod receive;
mod rows;
mod send;
mod signal;
mod stranded;

pub use error::Error;
pub use external::Entering;
pub use outbox::{Outgoing, Payload};
pub use receive::{Cause, Received, Welcomed, What};
pub use send::CommitIds;
pub use stranded::{Stranded, Stranding};

use crate::{
    credential::Credential,
    device::DeviceKey,
    id::{ConversationId, EntryId},
    log::Position,
    mls::{Charter, Engine, GroupError, MemberDevice, group::LiveGroup},
    store::{Reader, Writer},
};
use std::collections::HashMap;
use zeroize::Zeroizing;

/// Groups that are kept in memory between calls.
const LIVE_MAX: usize = 32;

/// A device's conversations.
#[derive(Debug)]
pub struct Groups {
    engine: Engine,
    /// By the version that was written with it: a transaction that was undone, or another process, makes it stale.
    live: HashMap<ConversationId, (u64, LiveGroup)>,
}

/// What a device knows of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// What the group says about itself.
    pub charter: Charter,
    /// The credentials of all leaves.
    pub members: Vec<Credential>,
    /// The group's MLS epoch.
    pub mls_epoch: u64,
    /// The server's epoch: commits in the log.
    pub server_epoch: u64,
    /// The last entry that was processed.
    pub seq: u64,
}

/// Where a device stands in a conversation, without its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The last entry that was processed.
    pub seq: u64,
    /// The log's head there; none until a joiner has adopted one.
    pub head: Option<[u8; 32]>,
    /// The server's epoch: commits in the log.
    pub server_epoch: u64,
    /// The group's MLS epoch.
    pub mls_epoch: u64,
}

impl Groups {
    /// For a device with its credential.
    ///
    /// # Errors
    /// [`GroupError::Leaf`] where the credential is for another key.
    pub fn new(credential: &Credential, key: &DeviceKey) -> Result<Self, GroupError> {
        Ok(Self {
            engine: Engine::new(credential, key)?,
            live: HashMap::new(),
        })
    }

    /// This device.
    #[must_use]
    pub fn me(&self) -> MemberDevice {
        self.engine.me()
    }

    /// Where this device stands in a conversation's log: the last number that it has processed.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`].
    pub fn cursor(&self, tx: &Reader<'_>, conversation: ConversationId) -> Result<u64, Error> {
        Ok(rows::position(tx, conversation)?.seq)
    }

    /// Where this device stands in a conversation. Reads no keys.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`].
    pub fn standing(&self, tx: &Reader<'_>, conversation: ConversationId) -> Result<Standing, Error> {
        let position = rows::position(tx, conversation)?;
        Ok(Standing {
            seq: position.seq,
            head: position.head,
            server_epoch: position.server_epoch,
            mls_epoch: position.mls_epoch,
        })
    }

    /// The log's head at a number, where this device has read that far and still keeps it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn head_at(&self, tx: &Reader<'_>, conversation: ConversationId, seq: u64) -> Result<Option<[u8; 32]>, Error> {
        heads::known(tx, conversation, seq)
    }

    /// The group's MLS epoch as this device knows it: 0 until a group's founding stands in the log. Reads no keys.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Out`], [`Error::Store`].
    pub fn mls_epoch(&self, tx: &Reader<'_>, conversation: ConversationId) -> Result<u64, Error> {
        let position = rows::position(tx, conversation)?;
        if position.out { Err(Error::Out) } else { Ok(position.mls_epoch) }
    }

    /// Who is in a conversation, and under which charter.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Out`], [`Error::Store`], [`GroupError::Damaged`].
    pub fn view(&mut self, tx: &Reader<'_>, conversation: ConversationId) -> Result<View, Error> {
        let position = rows::position(tx, conversation)?;
        let group = self.take_live(tx, conversation, &position)?;
        let view = View {
            charter: group.charter()?,
            members: group.credentials()?,
            mls_epoch: group.epoch(),
            server_epoch: position.server_epoch,
            seq: position.seq,
        };
        self.keep_live(conversation, &position, group);
        Ok(view)
    }

    /// All conversations that this device knows, those that it is out of included.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn conversations(&self, tx: &Reader<'_>) -> Result<Vec<ConversationId>, Error> {
        rows::conversations(tx)
    }

    /// Forgets a conversation with everything that was kept for it: one that was never created, or that was left.
    /// Gives the messages that were never sent.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn forget(&mut self, tx: &Writer<'_>, conversation: ConversationId) -> Result<Vec<EntryId>, Error> {
        self.live.remove(&conversation);
        rows::forget(tx, conversation)?;
        outbox::clear(tx, conversation)
    }

    /// Takes the group out of memory, or loads it. Whoever changed it writes it back with [`Groups::store`].
    fn take_live(&mut self, tx: &Reader<'_>, conversation: ConversationId, position: &Position) -> Result<LiveGroup, Error> {
        if position.out {
            return Err(Error::Out);
        }
        match self.live.remove(&conversation) {
            Some((version, group)) if version == position.version => Ok(group),
            _ => {
                let rows::Stored { state, is_apart, tree } = rows::group(tx, conversation)?;
                let stored = if is_apart { state.clone() } else { Zeroizing::default() };
                let mut group = self.engine.load(conversation, state, tree.expose())?;
                group.stored = stored;
                Ok(group)
            }
        }
    }

    fn keep_live(&mut self, conversation: ConversationId, position: &Position, group: LiveGroup) {
        if self.live.len() >= LIVE_MAX {
            self.live.clear();
        }
        self.live.insert(conversation, (position.version, group));
    }

    /// Writes what has changed of a group's state, and its tree where a commit changed it.
    fn store(
        &mut self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        position: &mut Position,
        mut group: LiveGroup,
        tree: bool,
    ) -> Result<(), Error> {
        let state = group.state()?;
        rows::put_state(tx, conversation, &group.stored, &state)?;
        group.stored = state;
        if tree {
            rows::put_tree(tx, conversation, &group.tree()?)?;
        }
        position.version = rand::random();
        position.mls_epoch = group.epoch();
        self.keep_live(conversation, position, group);
        Ok(())
    }
}
