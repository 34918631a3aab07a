//! [`Deframer`] as a tokio codec (feature `codec`): frames in, encoded bytes out.

use crate::{Deframer, Frame, FrameError, FrameLimits};
use bytes::{Bytes, BytesMut};
use std::io;
use tokio_util::codec::{Decoder, Encoder};

/// Reads [`Frame`]s and writes what the `encode_…` functions made.
#[derive(Debug)]
pub struct FrameCodec(Deframer);

/// A stream ended by its socket or by its peer's framing.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The peer broke the framing.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FrameCodec {
    /// A codec at the start of a stream.
    #[must_use]
    pub fn new(limits: FrameLimits) -> Self {
        Self(Deframer::new(limits))
    }

    /// Other limits from the next header on (after sign-in).
    pub fn set_limits(&mut self, limits: FrameLimits) {
        self.0.set_limits(limits);
    }
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = CodecError;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        self.0.buffer_mut().unsplit(source.split());
        Ok(self.0.next()?)
    }

    fn decode_eof(&mut self, source: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        match self.decode(source)? {
            Some(frame) => Ok(Some(frame)),
            None if self.0.is_mid_frame() => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stream ended within a frame").into()),
            None => Ok(None),
        }
    }
}

impl Encoder<Bytes> for FrameCodec {
    type Error = CodecError;

    fn encode(&mut self, frame: Bytes, target: &mut BytesMut) -> Result<(), CodecError> {
        target.extend_from_slice(&frame);
        Ok(())
    }
}
