//! One connection: frames in, bytes out, and the end after a fault of framing.

use crate::net::scratch::read_into;
use bytes::{Bytes, BytesMut};
use fastchat_tls::Stream;
use fastchat_wire::{Deframer, Frame, FrameError, FrameLimits};
use std::{io, time::Duration};
use tokio::{io::AsyncWriteExt, time::timeout};

/// Read at a time, at most: what a peer pipelines beyond waits in its socket.
const READ_BYTES: usize = 8 << 10;

/// A socket with its deframer.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    deframer: Deframer,
}

impl Connection {
    /// Takes over a connection.
    pub(super) fn new(stream: Stream, limits: FrameLimits) -> Self {
        Self {
            stream,
            deframer: Deframer::new(limits),
        }
    }

    /// Reads what is there; 0 is the peer's end. Dropped half-way it loses nothing.
    ///
    /// # Errors
    /// The socket failed.
    pub(super) async fn read(&mut self) -> io::Result<usize> {
        self.deframer.release();
        read_into(&mut self.stream, self.deframer.buffer_mut(), READ_BYTES).await
    }

    /// The next frame of what was read.
    ///
    /// # Errors
    /// The peer broke the framing: [`Self::refuse`] it.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        self.deframer.next()
    }

    /// True where a frame has begun and isn't complete.
    pub(super) fn is_mid_frame(&self) -> bool {
        self.deframer.is_mid_frame()
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// The socket failed, or the peer did not read for `within`.
    pub(super) async fn write(&mut self, bytes: &[u8], within: Duration) -> io::Result<()> {
        timeout(within, async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await?
    }

    /// The stream, and what was read of it beyond the last frame.
    pub(super) fn into_parts(mut self) -> (Stream, Bytes) {
        let early = self.deframer.buffer_mut().split().freeze();
        (self.stream, early)
    }

    /// Says why, shuts the sending half down, discards input for at most
    /// `discard` (a close with unread input would take the answer back), closes.
    pub(super) async fn refuse(mut self, answer: &[u8], discard: Duration) {
        // Whatever fails here, the connection is at its end.
        let _ = timeout(discard, async {
            self.stream.write_all(answer).await?;
            self.stream.shutdown().await?;
            let mut waste = BytesMut::new();
            while read_into(&mut self.stream, &mut waste, READ_BYTES).await? > 0 {
                waste.clear();
            }
            io::Result::Ok(())
        })
        .await;
    }
}
