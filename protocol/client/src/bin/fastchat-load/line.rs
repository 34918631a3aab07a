//! One connection, cheaply: bytes are read into a buffer that all connections
//! share, frames are looked at where they lie, and whatever was written since
//! the last turn goes out in one piece.
//!
//! ```text
//!  socket ──> Pool (shared) ──> Arrived<'_> ──> take()      what is left of a frame: `rest`
//!  socket <── `out` <── requests
//! ```

use crate::{
    glance::{Glance, Malformed, glance},
    trouble::Trouble,
    way::Way,
};
use fastchat_tls::Stream;
use fastchat_wire::{Block, EncodeError, ErrorBody, Request, encode_request, limits::BLOCK_BYTES_MAX};
use serde::Deserialize;
use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};

/// Bytes read at once.
const READ_BYTES: usize = 128 << 10;
/// An idle connection keeps no larger buffers than this.
const KEPT_BYTES: usize = 4 << 10;
/// Nobody waits longer for an answer off the hot path.
const PATIENCE: Duration = Duration::from_secs(20);

/// The buffer that all connections of the thread read into.
#[derive(Debug)]
pub(crate) struct Pool(RefCell<Vec<u8>>);

impl Default for Pool {
    fn default() -> Self {
        Self(RefCell::new(vec![0; READ_BYTES]))
    }
}

/// A frame where it lies.
#[derive(Debug)]
pub(crate) struct Arrived<'a> {
    /// The keys that the hot path needs.
    pub(crate) glance: Glance<'a>,
    /// The whole header.
    pub(crate) header: &'a [u8],
    /// The block.
    pub(crate) block: &'a [u8],
}

impl Arrived<'_> {
    /// The `error` of a failed response.
    pub(crate) fn failure(&self) -> Option<ErrorBody> {
        #[derive(Deserialize)]
        struct Failure {
            error: ErrorBody,
        }
        let parse = || serde_json::from_slice::<Failure>(self.header).ok();
        self.glance.failed.then(parse).flatten().map(|failure| failure.error)
    }
}

/// The connection is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    /// The peer closed it.
    #[error("the server closed the connection")]
    Closed,
    /// The system did.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The peer does not speak the protocol.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A block beyond every limit.
    #[error("the peer announced a block of {0} bytes: the limit is {BLOCK_BYTES_MAX}")]
    TooLarge(u64),
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Line {
    socket: Stream,
    /// Begin of a frame whose end has not come.
    rest: Vec<u8>,
    /// Frames to send.
    pub(crate) out: Vec<u8>,
    /// How much of `out` is sent.
    sent: usize,
    next_id: u64,
}

impl Line {
    /// Dials an address that [`Way::resolve`] found.
    ///
    /// # Errors
    /// Nobody answers.
    pub(crate) async fn dial(way: &Way, address: SocketAddr) -> Result<Self, Trouble> {
        Ok(Self {
            socket: way.dial(address).await?,
            rest: Vec::new(),
            out: Vec::new(),
            sent: 0,
            next_id: 1,
        })
    }

    /// Closes by reset: the port is free at once, where thousands of connections
    /// a second would use all of them up.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn reset(self) -> Result<(), Trouble> {
        let set = self.socket.socket().set_zero_linger();
        set.map_err(|error| Trouble::Failed(format!("can't reset a connection: {error}")))
    }

    /// The socket alone, for a client that has no use for anything else.
    pub(crate) fn into_socket(self) -> Stream {
        self.socket
    }

    /// Writes what waits, then reads and hands over every whole frame. Ready
    /// after a read, or once what was held up is written. May be dropped at any time.
    ///
    /// # Errors
    /// The connection is over.
    pub(crate) async fn turn(&mut self, pool: &Pool, mut take: impl FnMut(&Arrived<'_>)) -> Result<(), Lost> {
        poll_fn(|cx| self.poll_turn(cx, pool, &mut take)).await
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, pool: &Pool, take: &mut impl FnMut(&Arrived<'_>)) -> Poll<Result<(), Lost>> {
        let was_held_up = self.sent > 0;
        let held_up = self.poll_flush(cx)?.is_pending();
        let mut shared = pool.0.borrow_mut();
        let held = self.rest.len();
        if shared.len() < held + READ_BYTES {
            shared.resize(held * 2 + READ_BYTES, 0);
        }
        let mut buffer = ReadBuf::new(&mut shared[held..]);
        match Pin::new(&mut self.socket).poll_read(cx, &mut buffer) {
            Poll::Pending if was_held_up && !held_up => return Poll::Ready(Ok(())),
            read => ready!(read)?,
        }
        let read = buffer.filled().len();
        if read == 0 {
            return Poll::Ready(Err(Lost::Closed));
        }
        shared[..held].copy_from_slice(&self.rest);
        let bytes = &shared[..held + read];
        let used = each_frame(bytes, take)?;
        self.rest.clear();
        if used == bytes.len() && self.rest.capacity() > KEPT_BYTES {
            self.rest = Vec::new();
        }
        self.rest.extend_from_slice(&bytes[used..]);
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Lost> {
        while self.sent < self.out.len() {
            match Pin::new(&mut self.socket).poll_write(cx, &self.out[self.sent..]) {
                Poll::Ready(written) => self.sent += written?,
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        // With TLS what the socket did not take waits in the session.
        if self.sent > 0 && Pin::new(&mut self.socket).poll_flush(cx)?.is_pending() {
            return Ok(Poll::Pending);
        }
        self.sent = 0;
        self.out.clear();
        Ok(Poll::Ready(()))
    }

    /// Queues a request; its id.
    ///
    /// # Errors
    /// It does not fit a frame.
    pub(crate) fn queue<R: Request>(&mut self, request: &R, block: &Block) -> Result<u64, EncodeError> {
        let id = self.next_id;
        self.next_id += 1;
        self.out.extend_from_slice(&encode_request(id, request, block)?);
        Ok(id)
    }

    /// A request and its answer, off the hot path; what else arrives meanwhile is dropped.
    ///
    /// # Errors
    /// Refused, or the connection ended.
    pub(crate) async fn ask<R: Request>(&mut self, pool: &Pool, request: &R, block: &Block) -> Result<R::Response, Trouble> {
        let queued = self.queue(request, block);
        let id = queued.map_err(|error| Trouble::Usage(error.to_string()))?;
        self.answer::<R>(pool, id).await
    }

    /// The answer to a request that was queued.
    ///
    /// # Errors
    /// Refused, or the connection ended.
    pub(crate) async fn answer<R: Request>(&mut self, pool: &Pool, id: u64) -> Result<R::Response, Trouble> {
        let op = R::OP.as_str();
        let wait = async {
            let mut answer = None;
            while answer.is_none() {
                let taken = |arrived: &Arrived<'_>| {
                    let whole_connection = arrived.glance.failed && arrived.glance.re.is_none();
                    if arrived.glance.event.is_none() && (arrived.glance.re == Some(id) || whole_connection) {
                        answer = Some(read_answer::<R>(arrived));
                    }
                };
                self.turn(pool, taken).await?;
            }
            Ok::<_, Lost>(answer)
        };
        match timeout(PATIENCE, wait).await {
            Ok(Ok(Some(answer))) => answer,
            Ok(Ok(None)) => Err(Trouble::Failed(format!("no answer to {op}"))),
            Ok(Err(lost)) => Err(lost.into()),
            Err(_) => Err(Trouble::CannotConnect(format!("no answer to {op} within {} s", PATIENCE.as_secs()))),
        }
    }
}

fn read_answer<R: Request>(arrived: &Arrived<'_>) -> Result<R::Response, Trouble> {
    if let Some(error) = arrived.failure() {
        return Err(Trouble::Refused(error));
    }
    let parsed = serde_json::from_slice(arrived.header);
    parsed.map_err(|error| Trouble::Failed(format!("the answer to {} can't be read: {error}", R::OP.as_str())))
}

/// Hands over every whole frame; how many bytes they have.
fn each_frame(bytes: &[u8], take: &mut impl FnMut(&Arrived<'_>)) -> Result<usize, Lost> {
    let mut used = 0;
    while let Some((length, rest)) = bytes[used..].split_first_chunk::<2>() {
        let Some((header, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else {
            break;
        };
        let glance = glance(header)?;
        let block_bytes = usize::try_from(glance.content_length).unwrap_or(usize::MAX);
        if block_bytes > BLOCK_BYTES_MAX {
            return Err(Lost::TooLarge(glance.content_length));
        }
        let Some(block) = rest.get(..block_bytes) else {
            break;
        };
        take(&Arrived { glance, header, block });
        used += 2 + header.len() + block.len();
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::{chat::behind::Behind, encode_event};

    #[test]
    fn frames_are_handed_over_whole_wherever_the_stream_is_cut() {
        let event = |seq| {
            let behind = Behind {
                log: None,
                last_seq: Some(seq),
            };
            encode_event(None, &behind, &Block::binary(vec![b'x'; 10])).unwrap()
        };
        let stream = [event(1), event(2), event(3)].concat();
        for cut in 0..=stream.len() {
            let mut blocks = 0;
            let mut take = |arrived: &Arrived<'_>| {
                assert_eq!(arrived.block, b"xxxxxxxxxx");
                blocks += 1;
            };
            let used = each_frame(&stream[..cut], &mut take).unwrap();
            let rest = each_frame(&stream[used..], &mut take).unwrap();
            assert_eq!((used + rest, blocks), (stream.len(), 3), "cut at {cut}");
        }
    }

    #[test]
    fn a_block_beyond_the_limit_is_refused_before_it_came() {
        let header = br#"{"event":"entry","content-length":99999999}"#;
        let frame = [&(header.len() as u16).to_be_bytes()[..], header].concat();
        assert!(matches!(each_frame(&frame, &mut |_| ()), Err(Lost::TooLarge(99_999_999))));
    }
}
