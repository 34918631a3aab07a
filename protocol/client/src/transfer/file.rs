//! Reading and writing a file off the async threads.

use bytes::Bytes;
use std::{
    fs::File,
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    sync::Arc,
};
use tokio::task::spawn_blocking;

/// Its length in bytes.
pub(super) async fn length(file: &Arc<File>) -> io::Result<u64> {
    let file = Arc::clone(file);
    blocking(move || Ok(file.metadata()?.len())).await
}

/// The bytes from `offset`, all of them.
pub(super) async fn read(file: &Arc<File>, offset: u64, length: usize) -> io::Result<Bytes> {
    let file = Arc::clone(file);
    blocking(move || {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.into())
    })
    .await
}

/// Puts the bytes at `offset`.
pub(super) async fn write(file: &Arc<File>, offset: u64, bytes: Bytes) -> io::Result<()> {
    let file = Arc::clone(file);
    blocking(move || file.write_all_at(&bytes, offset)).await
}

/// What a person is told.
pub(super) fn told(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            format!("no room left for the file ({error}): make room, then try again")
        }
        ErrorKind::UnexpectedEof => "the file got shorter while it was sent: send it again".to_owned(),
        _ => format!("the file can't be read or written ({error}): repair that, then try again"),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_told_as_such() {
        let full = Arc::new(File::options().write(true).open("/dev/full").unwrap());
        let error = write(&full, 0, Bytes::from_static(b"x")).await.unwrap_err();
        assert!(told(&error).starts_with("no room left"), "{error}");
    }

    #[tokio::test]
    async fn bytes_go_to_their_places_and_come_from_there() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        write(&file, 3, Bytes::from_static(b"def")).await.unwrap();
        write(&file, 0, Bytes::from_static(b"abc")).await.unwrap();
        assert_eq!(length(&file).await.unwrap(), 6);
        assert_eq!(read(&file, 1, 4).await.unwrap(), "bcde");
        let error = read(&file, 4, 3).await.unwrap_err();
        assert!(told(&error).contains("shorter"), "{error}");
    }
}
