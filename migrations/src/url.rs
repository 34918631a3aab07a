//! Database URLs: which kind of database, and where.

use crate::OpenError;
use std::{ffi::OsString, path::PathBuf};

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
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return Err(OpenError::PostgresNotSupported);
        }
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
        let error = SqliteFiles::parse("postgres://u:secret@db/fastchat").unwrap_err();
        assert!(error.to_string().contains("not supported yet by this version"), "{error}");
        assert!(!error.to_string().contains("secret"));
    }
}
