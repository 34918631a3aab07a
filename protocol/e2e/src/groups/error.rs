//! Why a call on conversations failed. The transaction is then to be undone.

use crate::{
    content::ContentError,
    head::HeadError,
    id::{ConversationId, EntryId},
    mls::{CharterError, GroupError},
    store::StoreError,
};

/// Why a call on conversations failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk, or what is on it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// MLS, or the group's rules.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The server's: an entry that can't stand in a log.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The caller's: a message that can't be written.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The caller's: this device has no such conversation.
    #[error("this device is not in conversation {0}; ask a member to be added")]
    Unknown(ConversationId),
    /// The caller's: it is there already.
    #[error("conversation {0} exists already on this device")]
    Exists(ConversationId),
    /// The caller's: this device was removed.
    #[error("this device was removed from the conversation; ask a member to be added again")]
    Out,
    /// The caller's: entries are missing before this one.
    #[error("number {got} came before number {expected}; fetch from there")]
    Gap {
        /// The next number.
        expected: u64,
        /// The one that came.
        got: u64,
    },
    /// The caller's: one commit at a time.
    #[error("a change of this conversation ({0}) is on its way; wait for it, or withdraw it")]
    CommitPending(EntryId),
    /// The caller's: there is nothing of this id to be sent.
    #[error("entry {0} is not waiting to be sent")]
    NotPending(EntryId),
    /// The caller's: the commit that moved the epoch was not received yet.
    #[error("the conversation moved on; receive its log first, then seal again")]
    Behind,
    /// The server's: an invitation into an epoch that this device has left behind.
    #[error("this invitation is older than what this device knows of the conversation; it was ignored")]
    OldWelcome,
    /// The server's, or of the one who committed last: not the group that this device was in.
    #[error("the server's state of this conversation is not the one that its log leads to; a member's next change brings a new one")]
    OtherGroup,
    /// The caller's: this device is in, or knows nothing of the group that it was in.
    #[error("there is nothing of this conversation from which this device could begin anew; ask a member to be added again")]
    NoWay,
    /// The caller's: this device comes in again first.
    #[error("this device can't follow the conversation at the moment; wait until it has come in again")]
    Stranded,
    /// The disk's, or another version's.
    #[error("the stored state of conversation {0} is damaged; restore the profile, or sign in on a new one")]
    Damaged(ConversationId),
}

impl From<CharterError> for Error {
    fn from(error: CharterError) -> Self {
        Self::Group(error.into())
    }
}
