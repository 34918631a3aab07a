//! Database URLs: which kind of database, and where.

use crate::{OpenError, postgres::PostgresPlace};
use std::{ffi::OsString, fmt, path::PathBuf};

/// Where a database is. Its `Debug` and `Display` show no password.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Sqlite(SqliteFiles),
    Postgres(Box<PostgresPlace>),
}

impl Place {
    /// `sqlite:PATH`, `sqlite://PATH`, `postgres://…` or `postgresql://…`.
    ///
    /// # Errors
    /// Another kind of database, or one that can't be named so.
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            PostgresPlace::parse(url).map(|place| Self::Postgres(Box::new(place)))
        } else {
            SqliteFiles::parse(url).map(Self::Sqlite)
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(files) => write!(f, "sqlite:{}", files.database.display()),
            Self::Postgres(place) => place.fmt(f),
        }
    }
}

/// A database's URL as people and logs may see it: without password.
#[must_use]
pub fn shown(url: &str) -> String {
    Place::parse(url).map_or_else(|_| "a URL that can't be read".to_owned(), |place| place.to_string())
}

/// A SQLite database's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqliteFiles {
    /// The database.
    pub(crate) database: PathBuf,
}

impl SqliteFiles {
    /// `sqlite:PATH` or `sqlite://PATH`.
    ///
    /// # Errors
    /// Another kind of database, or no path.
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
        let path = url.strip_prefix("sqlite:").ok_or(OpenError::BadUrl)?;
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.starts_with(':') {
            return Err(OpenError::BadUrl);
        }
        Ok(Self { database: path.into() })
    }

    /// The file whose advisory lock writers take turns on.
    pub(crate) fn lock(&self) -> PathBuf {
        self.beside(".lock")
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = OsString::from(&self.database);
        name.push(ending);
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_sqlite_url_names_a_file() {
        for (url, path) in [
            ("sqlite:data/fastchat.db", "data/fastchat.db"),
            ("sqlite:///var/lib/fastchat.db", "/var/lib/fastchat.db"),
            ("sqlite:/a b?c.db", "/a b?c.db"),
        ] {
            let files = SqliteFiles::parse(url).unwrap();
            assert_eq!(files.database, Path::new(path));
            assert_eq!(files.lock(), PathBuf::from(format!("{path}.lock")));
        }
    }

    #[test]
    fn other_urls_are_refused_with_what_to_write() {
        for url in ["", "fastchat.db", "mysql://x", "sqlite:", "sqlite::memory:", "sqlite://"] {
            let error = SqliteFiles::parse(url).unwrap_err();
            assert!(error.to_string().contains("sqlite:PATH"), "{url}: {error}");
        }
    }
}
