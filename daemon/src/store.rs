//! The store: everything that lasts, but for the blobs' bytes.
//!
//! ```text
//!  Store = AccountStore   accounts, devices, sessions, keyrings, key packages
//!        + LogStore       logs, entries, members, marks
//!        + BlobStore      blobs' metadata (their bytes: object_store)
//!        + SweepStore     how blobs end, and whose turn it is to see to that
//! ```
//!
//! One trait, one conformance suite ([`conformance`]), which every
//! implementation passes. What a request may do to a conversation is decided by
//! the pure [`rules`], inside the implementation's transaction and under the
//! log's lock, so that two servers can't decide on different states.

pub(crate) mod accounts;
pub(crate) mod blobs;
#[cfg(test)]
pub(crate) mod conformance;
mod directory;
mod entries;
mod inbox;
mod listing;
pub(crate) mod logs;
mod marks;
mod page;
pub(crate) mod postgres;
pub(crate) mod rules;
pub(crate) mod sqlite;
mod standing;
pub(crate) mod sweep;
mod tokens;
mod values;

pub(crate) use accounts::AccountStore;
pub(crate) use blobs::BlobStore;
pub(crate) use logs::LogStore;
pub(crate) use sweep::SweepStore;

use async_trait::async_trait;
use fastchat_schema::DatabaseError;
use fastchat_wire::{Code, ErrorBody};

/// The whole store.
#[async_trait]
pub(crate) trait Store: AccountStore + LogStore + BlobStore + Send + Sync {
    /// Id of the fleet's store and its restore counter: `store` in `hello`.
    async fn store_id(&self) -> Result<String>;

    /// Answers where a small read would: for readiness.
    async fn ping(&self) -> Result<()>;

    /// How blobs end: a database does that without the rest of a store.
    fn sweep(&self) -> &dyn SweepStore;

    /// How many batches of appends, of different logs, are worth writing at once.
    fn append_lanes(&self) -> usize;
}

/// What a store's call comes to.
pub(crate) type Result<T> = std::result::Result<T, StoreError>;

/// Why a call did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The answer is no, and nothing was changed.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Busy, disconnected or timed out; the outcome may be unknown. Try again.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store holds or answers what it should not: a fault of ours.
    #[error("the store is inconsistent")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        if error.is_unavailable() {
            Self::Unavailable(error.into())
        } else {
            Self::Internal(error.into())
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        DatabaseError::from(error).into()
    }
}

/// A refusal that the protocol has a code for. Whose fault: the request's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    /// Not a member of the log, or there is no such log.
    #[error("no such log, or not a member of it")]
    NotMember,
    /// A member, but not allowed to.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The thing named does not exist.
    #[error("{0}")]
    NotFound(&'static str),
    /// Another state than the request assumed.
    #[error("{0}")]
    Conflict(&'static str),
    /// Another epoch than the request assumed.
    #[error("the epoch is {current}")]
    EpochConflict {
        /// The log's epoch.
        current: u64,
    },
    /// The username belongs to somebody.
    #[error("that username is taken")]
    NameTaken,
    /// Over a quota.
    #[error("{0}")]
    QuotaExceeded(&'static str),
    /// Arguments that no state would allow.
    #[error("{0}")]
    BadRequest(&'static str),
    /// The session or its token is dead.
    #[error("the session has ended: sign in again")]
    Unauthenticated,
    /// The account is locked.
    #[error("the account is locked: ask the operator")]
    Locked,
}

impl Denied {
    /// The protocol's code.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::NotMember => Code::NotMember,
            Self::Forbidden(_) => Code::Forbidden,
            Self::NotFound(_) => Code::NotFound,
            Self::Conflict(_) => Code::Conflict,
            Self::EpochConflict { .. } => Code::EpochConflict,
            Self::NameTaken => Code::NameTaken,
            Self::QuotaExceeded(_) => Code::QuotaExceeded,
            Self::BadRequest(_) => Code::BadRequest,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::Locked => Code::Locked,
        }
    }

    /// The `error` object.
    pub(crate) fn body(&self) -> ErrorBody {
        ErrorBody::new(self.code(), self.to_string())
    }
}
