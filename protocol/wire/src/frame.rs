//! Frames: taking them out of a byte stream, and writing them.

use crate::{
    Code, ErrorBody, Event, FrameError, Head, Kind, Request,
    limits::{
        BLOCK_BYTES_MAX, BLOCK_BYTES_MAX_UNAUTHENTICATED, ERROR_MESSAGE_BYTES_MAX, HEADER_BYTES_MAX, HEADER_BYTES_MAX_UNAUTHENTICATED,
        HEADER_BYTES_MIN,
    },
};
use bytes::{Buf, Bytes, BytesMut};
use serde::{Serialize, de::DeserializeOwned};
use std::borrow::Cow;

/// One frame: header and block are slices of what was read, not copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The keys that framing and dispatch need.
    pub head: Head,
    /// The whole header, JSON.
    pub header: Bytes,
    /// The message block.
    pub block: Bytes,
}

impl Frame {
    /// Parses the header as a verb's arguments (or a response, or an event).
    ///
    /// # Errors
    /// `bad-frame` where a known key is given twice, else `bad-request` with
    /// what is wrong.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ErrorBody> {
        serde_json::from_slice(&self.header).map_err(|e| {
            let message = e.to_string();
            // serde_json has no category for it; a test holds the wording.
            let code = if message.starts_with("duplicate field") {
                Code::BadFrame
            } else {
                Code::BadRequest
            };
            ErrorBody::new(code, message)
        })
    }

    /// The pieces of the block, as `parts` says; without `parts` the whole block.
    #[must_use]
    pub fn pieces(&self) -> Vec<Bytes> {
        let Some(parts) = &self.head.parts else {
            return vec![self.block.clone()];
        };
        let mut rest = self.block.clone();
        // Head::parse checked that the parts add up to the block's length.
        parts
            .iter()
            .map(|n| rest.split_to(usize::try_from(*n).unwrap_or(usize::MAX).min(rest.len())))
            .collect()
    }

    /// The `error` of a failed response.
    #[must_use]
    pub fn failure(&self) -> Option<ErrorBody> {
        #[derive(serde::Deserialize)]
        struct Failure {
            error: ErrorBody,
        }
        matches!(self.head.kind, Kind::Response { failed: true, .. }).then(|| self.parse::<Failure>().map_or_else(|e| e, |f| f.error))
    }
}

/// What a reader accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Largest header in bytes.
    pub header_bytes_max: usize,
    /// Largest block in bytes.
    pub block_bytes_max: usize,
}

impl FrameLimits {
    /// Before sign-in.
    pub const UNAUTHENTICATED: Self = Self {
        header_bytes_max: HEADER_BYTES_MAX_UNAUTHENTICATED,
        block_bytes_max: BLOCK_BYTES_MAX_UNAUTHENTICATED,
    };
    /// After sign-in, and for what a client reads.
    pub const DEFAULT: Self = Self {
        header_bytes_max: HEADER_BYTES_MAX,
        block_bytes_max: BLOCK_BYTES_MAX,
    };
}

/// Takes frames out of a byte stream, however it is split.
///
/// ```text
///  bytes ──> [ length ] ──> [ header ] ──> [ block ] ──> Frame
///                             └ too-large, bad-frame are said before the block is read
/// ```
#[derive(Debug)]
pub struct Deframer {
    buffer: BytesMut,
    limits: FrameLimits,
    /// Header already taken; its block is still coming.
    awaiting_block: Option<(Head, Bytes, usize)>,
}

impl Deframer {
    /// A reader at the start of a stream.
    #[must_use]
    pub fn new(limits: FrameLimits) -> Self {
        Self {
            buffer: BytesMut::new(),
            limits,
            awaiting_block: None,
        }
    }

    /// Other limits from the next header on.
    pub fn set_limits(&mut self, limits: FrameLimits) {
        self.limits = limits;
    }

    /// Where the shell reads into.
    pub fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Between frames: gives the buffer's memory back; frames that lie in it keep theirs.
    pub fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// True where a frame has begun and isn't complete: its 30 s are running.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        self.awaiting_block.is_some() || !self.buffer.is_empty()
    }

    /// Length of the block that is still coming, where its header was taken.
    #[must_use]
    pub fn awaited_block_bytes(&self) -> Option<usize> {
        self.awaiting_block.as_ref().map(|(_, _, bytes)| *bytes)
    }

    /// Bytes held for the frame that isn't complete, its header's included.
    #[must_use]
    pub fn partial_bytes(&self) -> usize {
        self.buffer.len() + self.awaiting_block.as_ref().map_or(0, |(_, header, _)| header.len())
    }

    /// The next frame; `None` where more bytes are needed. Call until `None`.
    ///
    /// # Errors
    /// After one the stream means nothing: answer it and close.
    #[expect(clippy::should_implement_trait, reason = "fallible and resumable, unlike Iterator::next")]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        let (head, header, block_bytes) = match self.awaiting_block.take() {
            Some(waiting) => waiting,
            None => match self.next_header()? {
                Some(taken) => taken,
                None => return Ok(None),
            },
        };
        if self.buffer.len() < block_bytes {
            let missing = block_bytes - self.buffer.len();
            self.buffer.reserve(missing.min(self.buffer.len()).min(READ_AHEAD_BYTES));
            self.awaiting_block = Some((head, header, block_bytes));
            return Ok(None);
        }
        let block = self.buffer.split_to(block_bytes).freeze();
        Ok(Some(Frame { head, header, block }))
    }

    fn next_header(&mut self) -> Result<Option<(Head, Bytes, usize)>, FrameError> {
        let Some(length) = self.buffer.first_chunk::<2>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length < HEADER_BYTES_MIN {
            return Err(FrameError::bad(
                None,
                format!("a header of {length} bytes: the smallest has {HEADER_BYTES_MIN}"),
            ));
        }
        if length > self.limits.header_bytes_max {
            return Err(FrameError::too_large(
                None,
                format!("a header of {length} bytes: the limit is {}", self.limits.header_bytes_max),
            ));
        }
        if self.buffer.len() < 2 + length {
            return Ok(None);
        }
        self.buffer.advance(2);
        let header = self.buffer.split_to(length).freeze();
        let head = Head::parse(&header)?;
        match usize::try_from(head.content_length) {
            Ok(block_bytes) if block_bytes <= self.limits.block_bytes_max => Ok(Some((head, header, block_bytes))),
            _ => {
                let re = if let Kind::Request { id, .. } = head.kind { Some(id) } else { None };
                Err(FrameError::too_large(
                    re,
                    format!(
                        "a block of {} bytes: the limit is {}",
                        head.content_length, self.limits.block_bytes_max
                    ),
                ))
            }
        }
    }
}

/// A block's announced length reserves as much memory again as came of it, and at
/// most this much: a peer that announces much and sends nothing costs nothing.
const READ_AHEAD_BYTES: usize = 16 << 10;

/// A block to send, with the header keys that describe it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    /// The bytes.
    pub bytes: Bytes,
    /// `content-type`, where it isn't the default.
    pub content_type: Option<&'static str>,
    /// Lengths of the pieces, where there are several.
    pub parts: Option<Vec<u64>>,
}

impl Block {
    /// No block.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Opaque bytes.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            ..Self::default()
        }
    }

    /// A JSON document.
    #[must_use]
    pub fn json<T: Serialize>(value: &T) -> Self {
        // Serialising our own types into memory can't fail: no maps with non-text keys.
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        Self {
            bytes: bytes.into(),
            content_type: Some("application/json"),
            parts: None,
        }
    }

    /// Several pieces in one block.
    #[must_use]
    pub fn pieces<P: AsRef<[u8]>>(pieces: &[P]) -> Self {
        let parts = pieces.iter().map(|p| p.as_ref().len() as u64).collect();
        let bytes = pieces.iter().flat_map(AsRef::as_ref).copied().collect::<Vec<u8>>();
        Self {
            bytes: bytes.into(),
            content_type: None,
            parts: Some(parts),
        }
    }
}

/// A frame that can't be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The header is longer than any peer reads.
    #[error("a header of {0} bytes: the limit is {HEADER_BYTES_MAX}")]
    HeaderTooLarge(usize),
    /// The arguments can't be written as JSON.
    #[error("the header can't be written: {0}")]
    Json(String),
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Outgoing<'a, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    op: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    re: Option<Option<u64>>,
    #[serde(flatten)]
    body: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a ErrorBody>,
    #[serde(skip_serializing_if = "is_zero")]
    content_length: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<&'a [u64]>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl<'a, T: Serialize> Outgoing<'a, T> {
    fn new(body: &'a T, block: &'a Block) -> Self {
        Self {
            op: None,
            id: None,
            event: None,
            re: None,
            body,
            error: None,
            content_length: block.bytes.len() as u64,
            content_type: block.content_type,
            parts: block.parts.as_deref(),
        }
    }

    fn encode(&self, block: &Block) -> Result<Bytes, EncodeError> {
        write_frame(self, &block.bytes)
    }
}

fn write_frame<T: Serialize>(header: &T, block: &[u8]) -> Result<Bytes, EncodeError> {
    let mut out = Vec::with_capacity(256 + block.len());
    out.extend_from_slice(&[0, 0]);
    serde_json::to_writer(&mut out, header).map_err(|e| EncodeError::Json(e.to_string()))?;
    let length = out.len() - 2;
    match u16::try_from(length) {
        Ok(h) if length <= HEADER_BYTES_MAX => out[..2].copy_from_slice(&h.to_be_bytes()),
        _ => return Err(EncodeError::HeaderTooLarge(length)),
    }
    out.extend_from_slice(block);
    Ok(out.into())
}

/// Writes a request.
///
/// # Errors
/// The arguments don't fit into a header.
pub fn encode_request<R: Request>(id: u64, request: &R, block: &Block) -> Result<Bytes, EncodeError> {
    Outgoing {
        op: Some(R::OP.as_str()),
        id: Some(id),
        ..Outgoing::new(request, block)
    }
    .encode(block)
}

/// Writes a successful response.
///
/// # Errors
/// The response doesn't fit into a header.
pub fn encode_response<T: Serialize>(re: u64, response: &T, block: &Block) -> Result<Bytes, EncodeError> {
    Outgoing {
        re: Some(Some(re)),
        ..Outgoing::new(response, block)
    }
    .encode(block)
}

/// Writes a failed response; `re` is `None` where the request's id could not be
/// read. `extra` has further top-level keys (an `epoch-conflict`'s `epoch`). A
/// message beyond [`ERROR_MESSAGE_BYTES_MAX`] is cut: it may quote its request.
///
/// # Errors
/// `extra` doesn't fit into a header.
pub fn encode_failure<T: Serialize>(re: Option<u64>, error: &ErrorBody, extra: &T) -> Result<Bytes, EncodeError> {
    let block = Block::none();
    let mut error = Cow::Borrowed(error);
    if error.message.len() > ERROR_MESSAGE_BYTES_MAX {
        let end = error.message.floor_char_boundary(ERROR_MESSAGE_BYTES_MAX);
        error.to_mut().message.truncate(end);
    }
    Outgoing {
        re: Some(re),
        error: Some(&error),
        ..Outgoing::new(extra, &block)
    }
    .encode(&block)
}

/// Writes an event; `re` where it is part of an answer.
///
/// # Errors
/// The event doesn't fit into a header.
pub fn encode_event<E: Event>(re: Option<u64>, event: &E, block: &Block) -> Result<Bytes, EncodeError> {
    Outgoing {
        event: Some(E::NAME.as_str()),
        re: re.map(Some),
        ..Outgoing::new(event, block)
    }
    .encode(block)
}

/// Writes a frame whose header is private to one release (the bus between the
/// servers). `header` brings its own `event` and `content-length`.
///
/// # Errors
/// The header is too large.
pub fn encode_private<T: Serialize>(header: &T, block: &[u8]) -> Result<Bytes, EncodeError> {
    write_frame(header, block)
}
