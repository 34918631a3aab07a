//! The writing half: frames in order, many per write.

use super::Closed;
use bytes::{Bytes, BytesMut};
use std::time::Duration;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt, WriteHalf},
    sync::mpsc,
    time::timeout,
};

/// Bytes written at once.
const WRITE_BYTES: usize = 64 << 10;

/// Writes until the connection is over.
pub(super) async fn run<S: AsyncWrite>(mut frames: mpsc::Receiver<Bytes>, mut socket: WriteHalf<S>, stall: Duration) -> Closed {
    let mut gathered = BytesMut::new();
    while let Some(frame) = frames.recv().await {
        gathered.extend_from_slice(&frame);
        while gathered.len() < WRITE_BYTES
            && let Ok(frame) = frames.try_recv()
        {
            gathered.extend_from_slice(&frame);
        }
        // In pieces, so that a slow line is not taken for a dead one.
        for piece in gathered.chunks(WRITE_BYTES) {
            match timeout(stall, socket.write_all(piece)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Closed::Failed(error.to_string()),
                Err(_) => return Closed::Stalled,
            }
        }
        gathered.clear();
        if gathered.capacity() > 4 * WRITE_BYTES {
            gathered = BytesMut::new();
        }
    }
    Closed::Here
}
