//! Why a database could not be opened or used.

use sqlx::postgres::PgDatabaseError;
use std::{io, path::PathBuf};

/// Why a database could not be opened or migrated. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not a URL of a kind that is known.
    #[error("the database must be given as sqlite:PATH, with the path of a file, or as postgres://USER@HOST/NAME")]
    BadUrl,
    /// A PostgreSQL URL that can't be used. The URL is not shown: it may hold a password.
    #[error("the URL of the PostgreSQL database can't be used: {0}")]
    BadPostgresUrl(String),
    /// No TLS, or a certificate that nobody vouches for.
    #[error(
        "no TLS to PostgreSQL: {0}; give its server a certificate and name who signed it by sslrootcert=FILE in the URL, or say sslmode=disable there where the network is trusted"
    )]
    NoTls(#[source] sqlx::Error),
    /// A server that does not keep what it acknowledges.
    #[error("PostgreSQL runs with fsync off, and would lose what it has acknowledged: set fsync = on in its configuration")]
    NotDurable,
    /// No such file.
    #[error("there is no database at {}: start the control plane, or run `fastchatd migrate`, to create it", .0.display())]
    Missing(PathBuf),
    /// The folder, the database or its lock file can't be written.
    #[error("can't write {}: {source}; give this user the right to write there, or choose another place", .path.display())]
    NotWritable {
        /// What can't be written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Some other file, or somebody else's database.
    #[error("{0} is not a FastChat database: move it away, or choose another place")]
    NotFastChat(String),
    /// The schema is older than this program.
    #[error(
        "the database has schema {found}, and this program needs schema {known}: start the control plane of this version, or run `fastchatd migrate`"
    )]
    TooOld {
        /// The database's version; 0 for an empty one.
        found: i64,
        /// This program's.
        known: i64,
    },
    /// The schema is newer, and says that this program is too old for it.
    #[error(
        "the database has schema {found}, which needs a program that knows schema {compatible_from}, and this one knows schema {known}: install a newer version of this program"
    )]
    TooNew {
        /// The database's version.
        found: i64,
        /// The oldest version that works on it.
        compatible_from: i64,
        /// This program's.
        known: i64,
    },
    /// Busy, or worse.
    #[error("can't open the database: {0}")]
    Database(#[from] DatabaseError),
}

impl OpenError {
    /// Why the first connection failed.
    pub(crate) fn connecting(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Tls(_) => Self::NoTls(error),
            // How a certificate that was refused is told.
            sqlx::Error::Io(ref io) if io.kind() == io::ErrorKind::InvalidData => Self::NoTls(error),
            error => DatabaseError::from(error).into(),
        }
    }
}

/// Why a statement or a transaction failed.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Busy, disconnected, out of space or timed out: try again. Where a commit
    /// failed so, its outcome is unknown.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It holds or answers what it should not, or we asked what we should not.
    #[error("the database is inconsistent: {0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl DatabaseError {
    /// True where trying again may help.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// True where a row was not written for another one has its key: look again what is there.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        let Self::Internal(error) = self else { return false };
        matches!(error.downcast_ref(), Some(sqlx::Error::Database(error)) if error.is_unique_violation())
    }

    /// True where all was undone for another transaction's sake: a deadlock, or a state that moved on.
    #[must_use]
    pub fn is_rolled_back(&self) -> bool {
        let Self::Unavailable(error) = self else { return false };
        let Some(sqlx::Error::Database(error)) = error.downcast_ref() else {
            return false;
        };
        let postgres = error.try_downcast_ref::<PgDatabaseError>();
        postgres.is_some_and(|error| error.code().starts_with("40"))
    }
}

impl From<io::Error> for DatabaseError {
    fn from(error: io::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::PoolClosed) {
            return Self::Unavailable("the database is away, or was closed".into());
        }
        if is_unavailable(&error) {
            Self::Unavailable(error.into())
        } else {
            Self::Internal(error.into())
        }
    }
}

pub(crate) fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(postgres) => POSTGRES_UNAVAILABLE.iter().any(|class| postgres.code().starts_with(class)),
            None => sqlite_code(error.as_ref()).is_some_and(|code| UNAVAILABLE.contains(&code)),
        },
        // A connection that ended in the middle of an answer.
        sqlx::Error::Protocol(_) | sqlx::Error::BeginFailed => true,
        _ => false,
    }
}

/// Beginnings of SQLSTATE codes that are states of the server, not of the data: connections, read-only (a replica),
/// rolled back for another transaction's sake, resources, locks, cancelled or shutting down, I/O.
const POSTGRES_UNAVAILABLE: [&str; 8] = ["08", "25006", "40", "53", "55P03", "57", "58", "3D000"];

/// SQLite's primary result code.
pub(crate) fn sqlite_code(error: &dyn sqlx::error::DatabaseError) -> Option<i32> {
    error.code()?.parse::<i32>().ok().map(|code| code & 0xff)
}

/// A file that is no SQLite database.
pub(crate) const SQLITE_NOTADB: i32 = 26;

/// NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, BUSY and LOCKED: states of
/// the machine, not of the data.
const UNAVAILABLE: [i32; 8] = [7, 8, 9, 10, 13, 14, 5, 6];
