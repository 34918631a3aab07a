//! The blobs' bytes: one object for each chunk.
//!
//! An object's name says which bytes it holds: `BLOB/OFFSET-LENGTH`. Two
//! connections that put different pieces at one offset (a client that came back
//! on another server and cuts its file differently) so can't overwrite what the
//! other one was acknowledged.

use crate::store::blobs::Chunk;
use bytes::{Bytes, BytesMut};
use fastchat_wire::BlobId;
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem, path::Path};
use std::{io, sync::Arc};

/// The folder can't be used.
#[derive(Debug, thiserror::Error)]
#[error("can't use the blobs' folder {folder}: give this user the right to write there, or name another one")]
pub(crate) struct FolderError {
    folder: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Opens a local folder, which is made where it doesn't exist. What is put is on
/// stable storage when the call returns.
///
/// # Errors
/// The folder can't be made or read.
pub(crate) fn open(folder: &str) -> Result<Arc<dyn ObjectStore>, FolderError> {
    let refused = |source: Box<dyn std::error::Error + Send + Sync>| FolderError {
        folder: folder.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(|e: io::Error| refused(e.into()))?;
    let objects = LocalFileSystem::new_with_prefix(folder).map_err(|e| refused(e.into()))?;
    Ok(Arc::new(objects.with_fsync(true)))
}

/// Writes a chunk; when this returns it is on stable storage.
///
/// # Errors
/// The store's.
pub(crate) async fn put(objects: &dyn ObjectStore, blob: BlobId, chunk: Chunk, bytes: Bytes) -> object_store::Result<()> {
    objects.put(&path(blob, chunk), bytes.into()).await.map(drop)
}

/// Reads `length` bytes from `offset`, which `chunks` cover in order.
///
/// # Errors
/// The store's; [`object_store::Error::NotFound`] where bytes that should be there are missing.
pub(crate) async fn get(
    objects: &dyn ObjectStore,
    blob: BlobId,
    chunks: &[Chunk],
    offset: u64,
    length: u64,
) -> object_store::Result<Bytes> {
    let mut bytes = BytesMut::with_capacity(usize::try_from(length).unwrap_or(0));
    for &chunk in chunks {
        let from = offset.saturating_sub(chunk.offset);
        let to = (offset + length).saturating_sub(chunk.offset).min(chunk.length);
        if from < to {
            bytes.extend_from_slice(&objects.get_range(&path(blob, chunk), from..to).await?);
        }
    }
    if bytes.len() as u64 != length {
        return Err(object_store::Error::NotFound {
            path: blob.to_string(),
            source: format!("its chunks hold {} bytes from {offset}, not {length}", bytes.len()).into(),
        });
    }
    Ok(bytes.freeze())
}

fn path(blob: BlobId, chunk: Chunk) -> Path {
    Path::from(format!("{blob}/{}-{}", chunk.offset, chunk.length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_range_is_put_together_from_the_chunks_that_it_touches() {
        let folder = tempfile::tempdir().unwrap();
        let objects = open(folder.path().join("new/blobs").to_str().unwrap()).unwrap();
        let blob = BlobId([7; 16]);
        let chunks = [
            Chunk { offset: 0, length: 4 },
            Chunk { offset: 4, length: 1 },
            Chunk { offset: 5, length: 3 },
        ];
        for (chunk, bytes) in chunks.into_iter().zip(["abcd", "e", "fgh"]) {
            put(&objects, blob, chunk, Bytes::from(bytes)).await.unwrap();
        }
        for (offset, length, expected) in [(0, 8, "abcdefgh"), (1, 2, "bc"), (3, 3, "def"), (5, 3, "fgh"), (4, 1, "e")] {
            assert_eq!(get(&objects, blob, &chunks, offset, length).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn another_cut_at_the_same_offset_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let objects = open(folder.path().to_str().unwrap()).unwrap();
        let blob = BlobId([7; 16]);
        let long = Chunk { offset: 0, length: 4 };
        put(&objects, blob, long, Bytes::from("abcd")).await.unwrap();
        put(&objects, blob, Chunk { offset: 0, length: 2 }, Bytes::from("ab"))
            .await
            .unwrap();
        assert_eq!(get(&objects, blob, &[long], 0, 4).await.unwrap(), "abcd");
    }

    #[test]
    fn a_folder_that_cannot_be_made_says_what_to_do() {
        let error = open("/proc/none/blobs").unwrap_err().to_string();
        assert!(error.contains("/proc/none/blobs") && error.contains("name another one"), "{error}");
    }
}
