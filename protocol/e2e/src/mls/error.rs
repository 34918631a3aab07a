//! What can go wrong with MLS, and whose fault it is.

use super::{extension::CharterError, provider::LeafRefused, rules::Violation};
use mls_rs::error::{AnyError, MlsError};

/// Why an operation on a group failed. The group is as it was.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The commit breaks a rule of the group. Received: its sender's fault, and everybody skips it. Own: the caller's.
    #[error("the change is against the conversation's rules: {0}")]
    Rule(#[from] Violation),
    /// A leaf or a key package is nobody's. Its maker's fault.
    #[error("a device can't be believed: {0}")]
    Leaf(#[from] LeafRefused),
    /// The charter is not readable. Its maker's fault.
    #[error(transparent)]
    Charter(#[from] CharterError),
    /// Not the kind of MLS message that belongs here. Its sender's fault.
    #[error("this is no {0} of this conversation; its sender's client is faulty")]
    Unexpected(&'static str),
    /// From an epoch that the group has left, or not reached.
    #[error("this was sealed in epoch {theirs}, the conversation is in epoch {ours}; ask the sender to send it again")]
    Epoch {
        /// The message's.
        theirs: u64,
        /// The group's.
        ours: u64,
    },
    /// Its key was used before: a repetition, or it comes after a later message of its sender.
    #[error("this was opened before, or comes after a later one of its sender; the server repeats or reorders messages")]
    Replayed,
    /// It does not open, or its signature is wrong.
    #[error("this does not open: {0}; ask the sender to send it again")]
    Broken(#[source] MlsError),
    /// A key package is of another account than the one that was asked for. The server's fault.
    #[error("the server gave the keys of another account than {wanted}; don't trust it, and try again later")]
    WrongAccount {
        /// Whom the caller meant.
        wanted: crate::id::AccountId,
    },
    /// Nobody of the group to remove. The caller's fault.
    #[error("not a member of this conversation; list its members first")]
    NoMember,
    /// The Welcome is for none of this device's key packages.
    #[error("this invitation is not for a key of this device; ask to be added again")]
    NotInvited,
    /// A GroupInfo without an external key, or with one that is not in MLS' form. The last committer's fault.
    #[error("the member who changed this conversation last left no way in: that member's client is faulty")]
    NoWayIn,
    /// The Welcome leads into another conversation.
    #[error("this invitation leads into another conversation than the one it lies in; don't trust the server")]
    WrongConversation,
    /// What was stored does not read. The disk's fault, or another version's.
    #[error("the stored state of this conversation is damaged ({0}); restore the profile, or sign in on a new one")]
    Damaged(#[source] MlsError),
    /// mls-rs failed to make something of good input.
    #[error("sealing failed: {0}; this is a fault of this program, please report it")]
    Internal(#[source] MlsError),
}

fn cause<E: std::error::Error + Copy + 'static>(error: &AnyError) -> Option<E> {
    error.inner_dyn_error().downcast_ref::<E>().copied()
}

impl GroupError {
    /// Names the cause if it is one of ours; otherwise `other` does.
    fn from_mls(error: MlsError, other: impl FnOnce(MlsError) -> Self) -> Self {
        match &error {
            MlsError::MlsRulesError(inner) => match cause(inner) {
                Some(violation) => Self::Rule(violation),
                None => other(error),
            },
            MlsError::IdentityProviderError(inner) => match cause(inner) {
                Some(refused) => Self::Leaf(refused),
                None => other(error),
            },
            MlsError::InvalidSuccessor => Self::Rule(Violation::Successor),
            MlsError::DuplicateLeafData(_) => Self::Rule(Violation::Twice),
            MlsError::KeyMissing(_) => Self::Replayed,
            _ => other(error),
        }
    }

    pub(crate) fn received(error: MlsError) -> Self {
        Self::from_mls(error, Self::Broken)
    }

    pub(crate) fn making(error: MlsError) -> Self {
        Self::from_mls(error, Self::Internal)
    }
}
