//! What goes wrong above the network, by what a person or a program does about it.

use crate::{
    connection::Closed,
    error::{Error, Failure, Refused, Unkept},
    session::Ended,
    trust::Distrust,
};
use fastchat_e2e::{
    FileError, KdfError, KeyringError, StoreError,
    groups::Error as GroupsError,
    mls::{GroupError, Violation},
};
use std::{borrow::Cow, io, path::PathBuf};

/// Why something was not done. Nothing was half done.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The fleet says no.
    #[error("{}", .0.message)]
    Refused(Refused),
    /// This client says no.
    #[error("{message}")]
    Declined {
        /// For programs, in the manner of the protocol's codes.
        code: Cow<'static, str>,
        /// For people: what to do.
        message: String,
    },
    /// Somebody is not who this device knows: nothing is sealed for them until a person accepts that.
    #[error(transparent)]
    Distrusted(#[from] Distrust),
    /// What was asked for can't be done as it was asked.
    #[error("{0}")]
    Usage(String),
    /// Nobody answers, or nobody does for long enough.
    #[error("{0}")]
    CannotConnect(String),
    /// The session is over for good.
    #[error("{0}")]
    Ended(Ended),
    /// The profile's store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A conversation's state.
    #[error(transparent)]
    Groups(GroupsError),
    /// A sealed file.
    #[error(transparent)]
    Sealed(#[from] FileError),
    /// The account's keyring, as the server gave it.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// How the password is to be stretched, as the server says.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// A file of this machine.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Problem {
    /// This client says no.
    pub fn declined(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::Declined {
            code: code.into(),
            message: message.into(),
        }
    }

    /// A file of this machine.
    pub fn file(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { path: path.into(), source }
    }

    /// For programs: the protocol's code, or one of this client's.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Refused(refused) => refused.code.as_str(),
            Self::Declined { code, .. } => code,
            Self::Distrusted(_) => "identity-changed",
            Self::Usage(_) => "usage",
            Self::CannotConnect(_) => "cannot-connect",
            Self::Ended(ended) => ended_code(ended),
            Self::Store(error) => store_code(error),
            Self::Groups(error) => groups_code(error),
            Self::Sealed(FileError::Read(_)) => "file-unreadable",
            Self::Sealed(FileError::Write(error)) | Self::File { source: error, .. } => file_code(error),
            Self::Sealed(FileError::TooLarge) => "too-large",
            Self::Sealed(FileError::Damaged { .. } | FileError::NotAsAnnounced) => "file-damaged",
            Self::Keyring(_) => "bad-keyring",
            Self::Kdf(_) => "bad-kdf",
        }
    }

    /// What a program ends with: 1 refused, 2 usage, 3 can't connect.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Ended(Ended::Usage(_)) => 2,
            Self::CannotConnect(_) => 3,
            _ => 1,
        }
    }

    /// True where the network is at fault, or the disk for now, and a later try may do it.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::CannotConnect(_) => true,
            Self::Refused(refused) => refused.code.is_retryable() || refused.ends_the_connection(),
            Self::Store(StoreError::Full { .. } | StoreError::Busy { .. }) => true,
            _ => false,
        }
    }
}

fn ended_code(ended: &Ended) -> &'static str {
    match ended {
        Ended::NoToken => "not-signed-in",
        Ended::SignedOut(_) => "signed-out",
        Ended::Locked(_) => "locked",
        Ended::Refused(refused) => refused.code.as_str(),
        Ended::Usage(_) => "usage",
        Ended::Unkept(_) => "profile-unkept",
        Ended::Closed => "closed",
    }
}

fn store_code(error: &StoreError) -> &'static str {
    match error {
        StoreError::Exists { .. } => "profile-in-use",
        StoreError::Missing { .. } => "profile-missing",
        StoreError::Version { .. } => "profile-version",
        StoreError::KeyMissing { .. } | StoreError::KeyExposed { .. } | StoreError::WrongKey { .. } => "profile-key",
        StoreError::Damaged { .. } | StoreError::Unopened { .. } => "profile-damaged",
        StoreError::Full { .. } => "disk-full",
        StoreError::Busy { .. } => "profile-busy",
        StoreError::Unwritable { .. } => "profile-unwritable",
        StoreError::File { .. } | StoreError::Database { .. } => "profile-unkept",
    }
}

fn groups_code(error: &GroupsError) -> &'static str {
    match error {
        GroupsError::Store(error) => store_code(error),
        GroupsError::Group(GroupError::Rule(Violation::NotAdmin)) => "forbidden",
        GroupsError::Group(GroupError::Rule(Violation::Full)) => "group-full",
        GroupsError::Group(GroupError::NoMember) => "not-found",
        GroupsError::Group(_) => "bad-change",
        GroupsError::Head(_) => "bad-log",
        GroupsError::Content(_) => "bad-message",
        GroupsError::Unknown(_) | GroupsError::Out | GroupsError::NoWay => "not-member",
        GroupsError::Exists(_) => "conflict",
        GroupsError::Damaged(_) => "profile-damaged",
        GroupsError::Gap { .. }
        | GroupsError::CommitPending(_)
        | GroupsError::NotPending(_)
        | GroupsError::Behind
        | GroupsError::OldWelcome
        | GroupsError::OtherGroup
        | GroupsError::Stranded => "not-now",
    }
}

fn file_code(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "file-missing",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => "disk-full",
        _ => "file-unreadable",
    }
}

impl From<GroupsError> for Problem {
    fn from(error: GroupsError) -> Self {
        match error {
            GroupsError::Store(error) => Self::Store(error),
            error => Self::Groups(error),
        }
    }
}

impl From<GroupError> for Problem {
    fn from(error: GroupError) -> Self {
        Self::Groups(error.into())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refused) => Self::Refused(refused),
            Error::Usage(what) => Self::Usage(what),
            Error::CannotConnect(_) => Self::CannotConnect(error.to_string()),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refused) | Failure::Lost(Closed::Told(refused)) => Self::Refused(refused),
            Failure::Usage(what) => Self::Usage(what),
            Failure::Lost(_) | Failure::TimedOut(_) | Failure::Misbehaved(_) => Self::CannotConnect(failure.to_string()),
        }
    }
}

impl From<Ended> for Problem {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

impl From<Unkept> for Problem {
    fn from(unkept: Unkept) -> Self {
        Self::Ended(Ended::Unkept(unkept))
    }
}
