//! Frames out of a socket, each within its time.

use super::scratch::{READ_BYTES, read_into};
use fastchat_wire::{Deframer, Frame, FrameError, FrameLimits};
use prometheus::IntCounter;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{Instant, timeout_at},
};

/// Reads frames; a frame completes within `frame_time_max` of its first byte.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    socket: R,
    deframer: Deframer,
    frame_time_max: Duration,
    /// When the frame that isn't complete began.
    began: Option<Instant>,
    bytes_in: IntCounter,
}

/// Why there is no further frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The peer shut its sending half between frames.
    #[error("closed by the peer")]
    Closed,
    /// The peer broke the framing: answer, then close.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame took too long.
    #[error("a frame took longer than it may")]
    TooSlow,
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// A reader at the start of a stream; `bytes_in` counts what it reads.
    pub(crate) fn new(socket: R, limits: FrameLimits, frame_time_max: Duration, bytes_in: IntCounter) -> Self {
        Self {
            socket,
            deframer: Deframer::new(limits),
            frame_time_max,
            began: None,
            bytes_in,
        }
    }

    /// Other limits from the next header on.
    pub(crate) fn set_limits(&mut self, limits: FrameLimits) {
        self.deframer.set_limits(limits);
    }

    /// The frame that isn't complete has so much more time: that long nobody read.
    pub(crate) fn paused(&mut self, for_so_long: Duration) {
        self.began = self.began.map(|began| began + for_so_long);
    }

    /// Length of the block that is still coming.
    pub(crate) fn awaited_block_bytes(&self) -> Option<usize> {
        self.deframer.awaited_block_bytes()
    }

    /// The next frame, or `None` once `pause_above` is given and a longer block
    /// is announced: call again when there is room for it. Safe to cancel.
    ///
    /// # Errors
    /// The stream is at its end, one way or another.
    pub(crate) async fn next(&mut self, pause_above: Option<usize>) -> Result<Option<Frame>, ReadError> {
        loop {
            if let Some(frame) = self.deframer.next()? {
                self.began = None;
                return Ok(Some(frame));
            }
            if !self.deframer.is_mid_frame() {
                self.began = None;
                self.deframer.release();
            } else if self.began.is_none() {
                self.began = Some(Instant::now());
            }
            if let (Some(limit), Some(bytes)) = (pause_above, self.deframer.awaited_block_bytes())
                && bytes > limit
            {
                return Ok(None);
            }
            let n = match self.began {
                Some(began) => timeout_at(began + self.frame_time_max, self.read())
                    .await
                    .map_err(|_| ReadError::TooSlow)??,
                None => self.read().await?,
            };
            self.bytes_in.inc_by(n as u64);
            if n == 0 {
                return Err(if self.deframer.is_mid_frame() {
                    io::Error::from(io::ErrorKind::UnexpectedEof).into()
                } else {
                    ReadError::Closed
                });
            }
        }
    }

    /// What follows of a block that is longer than a read is read where it
    /// belongs; everything else without a buffer that would have to be kept while
    /// nothing comes.
    async fn read(&mut self) -> io::Result<usize> {
        let is_long = self.deframer.awaited_block_bytes().is_some_and(|bytes| bytes > READ_BYTES);
        let buffer = self.deframer.buffer_mut();
        if is_long && buffer.len() >= READ_BYTES {
            buffer.reserve(READ_BYTES);
            self.socket.read_buf(buffer).await
        } else {
            read_into(&mut self.socket, buffer, READ_BYTES).await
        }
    }

    /// The socket, for [`super::farewell::discard`].
    pub(crate) fn into_socket(self) -> R {
        self.socket
    }
}
