//! The blobs' bytes: one object for each chunk, `KEY/OFFSET-LENGTH`.
//!
//! The key is the blob's own and is never used again. An object's name says which
//! bytes it holds: two connections that put different pieces at one offset (a
//! client that came back on another server and cuts its file differently) so
//! can't overwrite what the other one was acknowledged. The names are the same
//! in any `object_store`; only the walk over what there is reads a local folder.
//!
//! The object `store` says whose blobs these are. Without it, as where a disk
//! isn't mounted, nothing is compared and nothing is removed.

use crate::store::blobs::{Chunk, ObjectKey};
use bytes::{Bytes, BytesMut};
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem, path::Path};
use std::{
    fmt,
    fs::{self, ReadDir},
    io::{self, ErrorKind},
    path::PathBuf,
    sync::Arc,
};
use tokio::task::spawn_blocking;

/// The folder can't be used.
#[derive(Debug, thiserror::Error)]
#[error("can't use the blobs' folder {folder}: give this user the right to write there, or name another one")]
pub(crate) struct FolderError {
    folder: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Where the bytes are.
#[derive(Clone)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    folder: PathBuf,
}

/// A file of a blob's folder: a chunk where its name says so and it has that length, else what a crash left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) chunk: Option<Chunk>,
}

/// The object that says whose blobs these are.
const MARK: &str = "store";

impl Objects {
    /// Opens a local folder, which is made where it doesn't exist. What is put is
    /// on stable storage when the call returns.
    ///
    /// # Errors
    /// The folder can't be made or read.
    pub(crate) fn open(folder: &str) -> Result<Self, FolderError> {
        let refused = |source: Box<dyn std::error::Error + Send + Sync>| FolderError {
            folder: folder.to_owned(),
            source,
        };
        fs::create_dir_all(folder).map_err(|e| refused(e.into()))?;
        let objects = LocalFileSystem::new_with_prefix(folder).map_err(|e| refused(e.into()))?;
        Ok(Self {
            store: Arc::new(objects.with_fsync(true)),
            folder: folder.into(),
        })
    }

    /// Writes a chunk; when this returns it is on stable storage.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn put(&self, key: ObjectKey, chunk: Chunk, bytes: Bytes) -> object_store::Result<()> {
        self.store.put(&path(key, chunk), bytes.into()).await.map(drop)
    }

    /// Reads `length` bytes from `offset`, which `chunks` cover in order.
    ///
    /// # Errors
    /// The store's; [`object_store::Error::NotFound`] where bytes that should be there are missing.
    pub(crate) async fn get(&self, key: ObjectKey, chunks: &[Chunk], offset: u64, length: u64) -> object_store::Result<Bytes> {
        let mut pieces = Vec::with_capacity(chunks.len());
        for &chunk in chunks {
            let from = offset.saturating_sub(chunk.offset);
            let to = (offset + length).saturating_sub(chunk.offset).min(chunk.length);
            if from < to {
                pieces.push(self.store.get_range(&path(key, chunk), from..to).await?);
            }
        }
        let found: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        if found != length {
            return Err(object_store::Error::NotFound {
                path: key.to_string(),
                source: format!("its chunks hold {found} bytes from {offset}, not {length}").into(),
            });
        }
        // Mostly one: not copied.
        Ok(match pieces.len() {
            1 => pieces.remove(0),
            _ => pieces
                .iter()
                .fold(BytesMut::new(), |mut all, piece| {
                    all.extend_from_slice(piece);
                    all
                })
                .freeze(),
        })
    }

    /// Whose blobs these are; none where nobody has said so.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn owner(&self) -> object_store::Result<Option<String>> {
        match self.store.get(&Path::from(MARK)).await {
            Ok(found) => Ok(Some(String::from_utf8_lossy(&found.bytes().await?).into_owned())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says whose blobs these are.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn own(&self, owner: &str) -> object_store::Result<()> {
        self.store.put(&Path::from(MARK), owner.to_owned().into()).await.map(drop)
    }

    /// Begins to go through all keys.
    pub(super) async fn all_keys(&self) -> io::Result<ReadDir> {
        let folder = self.folder.clone();
        blocking(move || fs::read_dir(folder)).await
    }

    /// The next keys, at most so many; none at the end.
    pub(super) async fn next_keys(mut all: ReadDir, limit: usize) -> io::Result<(ReadDir, Vec<ObjectKey>)> {
        blocking(move || {
            let mut keys = Vec::with_capacity(limit);
            for entry in all.by_ref() {
                // What has no key's name is not ours.
                if let Some(key) = entry?.file_name().to_str().and_then(|name| uuid::Uuid::try_parse(name).ok()) {
                    keys.push(ObjectKey(key.into_bytes()));
                    if keys.len() == limit {
                        break;
                    }
                }
            }
            Ok((all, keys))
        })
        .await
    }

    /// What there is of one blob.
    pub(super) async fn found(&self, key: ObjectKey) -> io::Result<Vec<Found>> {
        let folder = self.folder(key);
        blocking(move || {
            let mut found = Vec::new();
            for entry in or_none(fs::read_dir(folder))?.into_iter().flatten() {
                let entry = entry?;
                let Some(length) = or_none(entry.metadata())?.map(|file| file.len()) else {
                    continue;
                };
                let name = entry.file_name().to_string_lossy().into_owned();
                let chunk = named(&name).filter(|chunk| chunk.length == length);
                found.push(Found { name, chunk });
            }
            Ok(found)
        })
        .await
    }

    /// Removes a file of a blob that takes no further chunk.
    pub(super) async fn remove_file(&self, key: ObjectKey, name: &str) -> io::Result<()> {
        let file = self.folder(key).join(name);
        blocking(move || or_none(fs::remove_file(file)).map(drop)).await
    }

    /// Removes all objects of a key that no blob has.
    pub(super) async fn remove(&self, key: ObjectKey) -> io::Result<()> {
        let folder = self.folder(key);
        blocking(move || or_none(fs::remove_dir_all(folder)).map(drop)).await
    }

    fn folder(&self, key: ObjectKey) -> PathBuf {
        self.folder.join(key.to_string())
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("folder", &self.folder).finish_non_exhaustive()
    }
}

fn path(key: ObjectKey, chunk: Chunk) -> Path {
    Path::from(format!("{key}/{}-{}", chunk.offset, chunk.length))
}

/// The chunk that an object's name tells.
fn named(name: &str) -> Option<Chunk> {
    let (offset, length) = name.split_once('-')?;
    Some(Chunk {
        offset: offset.parse().ok()?,
        length: length.parse().ok()?,
    })
}

/// What isn't there (any more) is none.
fn or_none<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        outcome => outcome.map(Some),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: ObjectKey = ObjectKey([7; 16]);

    #[tokio::test]
    async fn a_range_is_put_together_from_the_chunks_that_it_touches() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::open(folder.path().join("new/blobs").to_str().unwrap()).unwrap();
        let chunks = [
            Chunk { offset: 0, length: 4 },
            Chunk { offset: 4, length: 1 },
            Chunk { offset: 5, length: 3 },
        ];
        for (chunk, bytes) in chunks.into_iter().zip(["abcd", "e", "fgh"]) {
            objects.put(KEY, chunk, Bytes::from(bytes)).await.unwrap();
        }
        for (offset, length, expected) in [(0, 8, "abcdefgh"), (1, 2, "bc"), (3, 3, "def"), (5, 3, "fgh"), (4, 1, "e")] {
            assert_eq!(objects.get(KEY, &chunks, offset, length).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn another_cut_at_the_same_offset_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::open(folder.path().to_str().unwrap()).unwrap();
        let long = Chunk { offset: 0, length: 4 };
        objects.put(KEY, long, Bytes::from("abcd")).await.unwrap();
        objects.put(KEY, Chunk { offset: 0, length: 2 }, Bytes::from("ab")).await.unwrap();
        assert_eq!(objects.get(KEY, &[long], 0, 4).await.unwrap(), "abcd");
    }

    #[tokio::test]
    async fn a_chunk_that_a_crash_cut_short_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::open(folder.path().to_str().unwrap()).unwrap();
        objects.put(KEY, Chunk { offset: 0, length: 4 }, Bytes::from("abcd")).await.unwrap();
        for name in ["4-4", "8-4#1"] {
            fs::write(folder.path().join(KEY.to_string()).join(name), "ab").unwrap();
        }
        let found = objects.found(KEY).await.unwrap();
        let chunks: Vec<Chunk> = found.iter().filter_map(|found| found.chunk).collect();
        assert_eq!((found.len(), chunks), (3, vec![Chunk { offset: 0, length: 4 }]));
        objects.remove(KEY).await.unwrap();
        assert_eq!(objects.found(KEY).await.unwrap(), []);
        objects.remove(KEY).await.expect("removed again, it is still gone");
    }

    #[test]
    fn a_folder_that_cannot_be_made_says_what_to_do() {
        let error = Objects::open("/proc/none/blobs").unwrap_err().to_string();
        assert!(error.contains("/proc/none/blobs") && error.contains("name another one"), "{error}");
    }
}
