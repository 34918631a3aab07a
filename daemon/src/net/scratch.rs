//! Reading without a buffer of one's own.
//!
//! A connection that waits for bytes has no use for a buffer, and most
//! connections wait most of the time. So bytes are read into one buffer for
//! each thread, and only what came is copied to where it belongs. Works with any
//! stream: a socket, or one with TLS around it.

use bytes::BytesMut;
use std::{cell::RefCell, future::poll_fn, io, pin::Pin, task::ready};
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes that one read takes at most.
pub(crate) const READ_BYTES: usize = 32 << 10;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// Appends what is there, at most `bytes_max` and [`READ_BYTES`]; 0 is the
/// stream's end. Dropped half-way it loses nothing.
///
/// # Errors
/// The stream failed.
pub(crate) async fn read_into<R: AsyncRead + Unpin>(stream: &mut R, into: &mut BytesMut, bytes_max: usize) -> io::Result<usize> {
    poll_fn(|context| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut read = ReadBuf::new(&mut scratch[..bytes_max.min(READ_BYTES)]);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut read))?;
            into.extend_from_slice(read.filled());
            Ok(read.filled().len()).into()
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn what_came_is_taken_and_no_more_memory_than_that() {
        let (mut here, mut there) = tokio::io::duplex(READ_BYTES * 2);
        let mut buffer = BytesMut::new();
        assert!(
            futures::FutureExt::now_or_never(read_into(&mut here, &mut buffer, READ_BYTES)).is_none(),
            "nothing came"
        );
        assert_eq!(buffer.capacity(), 0);
        there.write_all(b"hello").await.unwrap();
        assert_eq!(read_into(&mut here, &mut buffer, READ_BYTES).await.unwrap(), 5);
        there.write_all(b", world").await.unwrap();
        assert_eq!(read_into(&mut here, &mut buffer, 3).await.unwrap(), 3, "no more than asked for");
        assert_eq!(&buffer[..], b"hello, w");
        assert!(buffer.capacity() < 1_024, "{}", buffer.capacity());
        drop(there);
        read_into(&mut here, &mut buffer, READ_BYTES).await.unwrap();
        assert_eq!(read_into(&mut here, &mut buffer, READ_BYTES).await.unwrap(), 0, "the end");
    }
}
