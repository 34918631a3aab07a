//! Files on their way up: what a sender that died goes on with.
//!
//! The sealed bytes are in `uploads/BLOB` in the profile's folder; what opens them is here, in the sealed store. Nothing
//! is ever sealed a second time under one key: whoever goes on sends the bytes that are there.

use super::rows;
use crate::{clock::now_ms, problem::Problem};
use fastchat_e2e::{
    BlobId, ConversationId,
    content::File as FileBody,
    store::{Reader, Scan, Table, Writer},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fs::Metadata, os::unix::fs::MetadataExt, path::Path};

/// [`Which`] → [`Upload`].
const UPLOADS: Table = Table::new("upload");
/// As long as a fleet keeps what is not whole, where nothing else is said.
pub(crate) const KEPT_MS: u64 = fastchat_wire::limits::BLOB_UPLOAD_MS_MAX;
/// Looked at in one go.
const UPLOADS_AT_ONCE: u32 = 4_096;

/// A file as it is on the disk now, to be sent to a conversation: another one when it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Which([u8; 32]);

impl Which {
    /// What tells a changed file from the same one without reading it: where it is, its length and its times.
    pub(crate) fn of(conversation: ConversationId, path: &Path, file: &Metadata, keep_metadata: bool) -> Self {
        let mut hash = Sha256::new();
        hash.update(conversation.as_bytes());
        let number = [file.dev(), file.ino(), file.size(), u64::from(keep_metadata)];
        let times = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
        number.iter().for_each(|number| hash.update(number.to_be_bytes()));
        times.iter().for_each(|time| hash.update(time.to_be_bytes()));
        hash.update(path.file_name().unwrap_or(path.as_os_str()).as_encoded_bytes());
        Self(hash.finalize().into())
    }
}

/// A file that is sealed and not yet sent.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Upload {
    /// When it was sealed, in ms since 1970.
    at_ms: u64,
    /// What its message will say.
    pub(crate) body: FileBody,
    /// What its sender should know.
    pub(crate) notes: Vec<String>,
}

impl Upload {
    pub(crate) fn new(body: FileBody, notes: Vec<String>) -> Self {
        Self {
            at_ms: now_ms(),
            body,
            notes,
        }
    }

    fn is_old(&self) -> bool {
        now_ms().saturating_sub(self.at_ms) >= KEPT_MS
    }
}

/// The upload of a file, where one was begun and is not too old.
pub(crate) fn find(tx: &Reader<'_>, which: Which) -> Result<Option<Upload>, Problem> {
    let found: Option<Upload> = rows::get(tx, UPLOADS, &which.0)?;
    Ok(found.filter(|upload| !upload.is_old()))
}

/// Keeps an upload, whose bytes are on stable storage.
pub(crate) fn save(tx: &Writer<'_>, which: Which, upload: &Upload) -> Result<(), Problem> {
    rows::put(tx, UPLOADS, &which.0, upload)
}

/// It is sent, or never will be.
pub(crate) fn forget(tx: &Writer<'_>, which: Which) -> Result<(), Problem> {
    tx.delete(UPLOADS, &which.0)?;
    Ok(())
}

/// Forgets those that are too old; gives those that are not.
pub(crate) fn tidy(tx: &Writer<'_>) -> Result<Vec<BlobId>, Problem> {
    let all = Scan {
        limit: UPLOADS_AT_ONCE,
        ..Scan::prefix(&[])
    };
    let mut kept = Vec::new();
    for (key, row) in tx.list(UPLOADS, all)? {
        let upload: Upload = rows::parse(UPLOADS, row.expose())?;
        if upload.is_old() {
            tx.delete(UPLOADS, &key)?;
        } else {
            kept.push(upload.body.blob);
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, time::Duration};

    #[test]
    fn a_file_that_was_changed_or_goes_elsewhere_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "one").unwrap();
        let here = ConversationId([1; 16]);
        let which = |conversation, keeps| Which::of(conversation, &path, &fs::metadata(&path).unwrap(), keeps);
        let first = which(here, false);
        assert_eq!(which(here, false), first);
        assert_ne!(which(ConversationId([2; 16]), false), first);
        assert_ne!(which(here, true), first);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(file.metadata().unwrap().modified().unwrap() + Duration::from_nanos(1_000))
            .unwrap();
        assert_ne!(which(here, false), first);
    }
}
