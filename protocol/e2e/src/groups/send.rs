//! What this device says: commits and messages, into the group's state and the outbox at once.

use super::{
    Groups,
    error::Error,
    outbox::{self, Outgoing, Payload, Row},
    rows::{self, PendingCommit},
};
use crate::{
    content::Content,
    head::LogHead,
    id::{ConversationId, EntryId},
    log::Position,
    mls::{Charter, Intent, Invite, Kind, group::LiveGroup},
    secret::SecretBytes,
    store::{Reader, Writer},
};
use std::{ops::ControlFlow, time::Duration};

/// The ids that a commit's entries will have. All new; the caller draws them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitIds {
    /// Of the commit.
    pub commit: EntryId,
    /// Of the Welcome, where somebody joins.
    pub welcome: EntryId,
    /// Of the message that names the commit's head to those who join.
    pub announcement: EntryId,
}

impl Groups {
    /// Makes a conversation, and the commit that brings its other devices in. `now` is the time since 1970.
    ///
    /// This device's account is the first admin of a group. In a direct chat `members` are the other
    /// account's devices and this account's others.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`crate::mls::GroupError`] for a key package that is not its account's, or that the rules refuse.
    pub fn create(
        &mut self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        kind: Kind,
        members: Vec<Invite<'_>>,
        ids: CommitIds,
        now: Duration,
    ) -> Result<Outgoing, Error> {
        if rows::find_position(tx, conversation)?.is_some() {
            return Err(Error::Exists(conversation));
        }
        let charter = match kind {
            Kind::Direct => Charter::direct(),
            Kind::Group => Charter::group(self.me().account),
        };
        let group = self.engine.create(conversation, &charter, now)?;
        let mut position = Position::start(LogHead::start(conversation));
        self.store(tx, conversation, &mut position, group, true)?;
        rows::put_position(tx, conversation, &position)?;
        let intent = if members.is_empty() { Intent::Renew } else { Intent::Add(members) };
        self.commit(tx, conversation, &intent, ids, now)
    }

    /// Makes a commit. It is applied when it stands in the log; one at a time.
    ///
    /// # Errors
    /// [`Error::CommitPending`]; [`Error::Stranded`]; [`crate::mls::GroupError::Rule`] and others for what this account may not do.
    pub fn commit(
        &mut self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        intent: &Intent<'_>,
        ids: CommitIds,
        now: Duration,
    ) -> Result<Outgoing, Error> {
        let position = rows::position(tx, conversation)?;
        if let Some(pending) = rows::pending_commit(tx, conversation)? {
            return Err(Error::CommitPending(pending.entry));
        }
        if rows::stranded(tx, conversation)?.is_some() {
            return Err(Error::Stranded);
        }
        let mut group = self.take_live(tx, conversation, &position)?;
        let made = group.commit(intent, position.authenticated_data(), now)?;
        self.keep_live(conversation, &position, group);
        let pending = PendingCommit {
            entry: ids.commit,
            announcement: ids.announcement,
            at_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            secrets: made.secrets,
        };
        rows::put_pending_commit(tx, conversation, &pending)?;
        let payload = Payload::Commit {
            commit: made.commit,
            welcome: made.welcome.map(|welcome| (ids.welcome, welcome)),
            group_info: made.group_info,
            added: made.added,
            removed: made.removed,
            welcome_to: made.welcome_to,
        };
        queue(
            tx,
            conversation,
            ids.commit,
            position.server_epoch,
            payload,
            SecretBytes::new(Vec::new()),
        )
    }

    /// Seals a message. The same content id again gives the same bytes again.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Out`], [`Error::Content`].
    pub fn seal(&mut self, tx: &Writer<'_>, conversation: ConversationId, content: &Content) -> Result<Outgoing, Error> {
        if let Some(row) = outbox::find(tx, conversation, content.id)? {
            return Ok(row.outgoing);
        }
        self.seal_bytes(tx, conversation, content.id, content.encode()?)
    }

    /// After an `epoch-conflict`: seals a waiting message again, in the epoch that the log has reached.
    ///
    /// # Errors
    /// [`Error::NotPending`]; [`Error::Behind`] until the commit that moved the epoch was received.
    pub fn reseal(&mut self, tx: &Writer<'_>, conversation: ConversationId, entry: EntryId) -> Result<Outgoing, Error> {
        let position = rows::position(tx, conversation)?;
        let row = outbox::find(tx, conversation, entry)?.ok_or(Error::NotPending(entry))?;
        if row.is_commit() || row.outgoing.acknowledged.is_some() {
            return Err(Error::NotPending(entry));
        }
        if row.outgoing.epoch >= position.server_epoch {
            return Err(Error::Behind);
        }
        self.seal_bytes(tx, conversation, entry, row.plaintext)
    }

    /// After an `epoch-conflict`, or to give up: drops a commit that does not stand in the log. The caller makes
    /// it anew once it has received what the log has. A commit that another one overtook is gone already.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn withdraw(&mut self, tx: &Writer<'_>, conversation: ConversationId) -> Result<Option<EntryId>, Error> {
        withdraw(tx, conversation)
    }

    /// Drops something that will never stand in the log: the server refused it for good. Says whether it was there.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn discard(&mut self, tx: &Writer<'_>, conversation: ConversationId, entry: EntryId) -> Result<bool, Error> {
        let Some(row) = outbox::find(tx, conversation, entry)? else {
            return Ok(false);
        };
        if row.is_commit() {
            withdraw(tx, conversation)?;
        }
        outbox::delete(tx, &row.outgoing)?;
        Ok(true)
    }

    /// An own commit that was made and not taken yet, whether the server has acknowledged it or not.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn commit_under_way(&self, tx: &Reader<'_>, conversation: ConversationId) -> Result<Option<EntryId>, Error> {
        Ok(rows::pending_commit(tx, conversation)?.map(|pending| pending.entry))
    }

    /// Everything that is to be sent, oldest first: after a start, and after a lost connection. Send the
    /// entries of one log in this order, and nothing after a commit before the commit is acknowledged.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn pending(&self, tx: &Reader<'_>) -> Result<Vec<Outgoing>, Error> {
        let mut pending = Vec::new();
        outbox::each_pending(tx, |outgoing| {
            pending.push(outgoing);
            ControlFlow::Continue(())
        })?;
        Ok(pending)
    }

    /// The same one by one, until `each` has enough: what is behind that is not even read.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn each_pending(&self, tx: &Reader<'_>, each: impl FnMut(Outgoing) -> ControlFlow<()>) -> Result<(), Error> {
        outbox::each_pending(tx, each)
    }

    /// The conversations that may have something to be sent, each once.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn conversations_to_send_to(&self, tx: &Reader<'_>) -> Result<Vec<ConversationId>, Error> {
        outbox::conversations(tx)
    }

    pub(super) fn seal_bytes(
        &mut self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        entry: EntryId,
        plaintext: SecretBytes,
    ) -> Result<Outgoing, Error> {
        let mut position = rows::position(tx, conversation)?;
        let mut group: LiveGroup = self.take_live(tx, conversation, &position)?;
        let block = group.seal(plaintext.expose(), position.authenticated_data())?;
        self.store(tx, conversation, &mut position, group, false)?;
        rows::put_position(tx, conversation, &position)?;
        queue(
            tx,
            conversation,
            entry,
            position.server_epoch,
            Payload::Message { block },
            plaintext,
        )
    }
}

/// Drops the pending commit, if there is one; gives its entry.
pub(super) fn withdraw(tx: &Writer<'_>, conversation: ConversationId) -> Result<Option<EntryId>, Error> {
    let Some(pending) = rows::pending_commit(tx, conversation)? else {
        return Ok(None);
    };
    if let Some(row) = outbox::find(tx, conversation, pending.entry)? {
        outbox::delete(tx, &row.outgoing)?;
    }
    rows::delete_pending_commit(tx, conversation)?;
    Ok(Some(pending.entry))
}

fn queue(
    tx: &Writer<'_>,
    conversation: ConversationId,
    entry: EntryId,
    epoch: u64,
    payload: Payload,
    plaintext: SecretBytes,
) -> Result<Outgoing, Error> {
    let outgoing = Outgoing {
        conversation,
        entry,
        epoch,
        acknowledged: None,
        payload,
    };
    let row = Row { outgoing, plaintext };
    outbox::put(tx, &row)?;
    Ok(row.outgoing)
}
