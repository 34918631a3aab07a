//! One connection: requests and their answers by id, pipelined; events; pings.
//!
//! ```text
//!  request ──> room (KiB in flight) ──> pending[id] ──> frames to write ──> socket
//!  reply   <── pending[id] <── response "re"  ┐
//!  next_event <── event queue <── event       ├── frames <── socket
//!                  (full: dropped, "behind")  ┘
//! ```
//!
//! The reader never waits for whoever takes the events, so an answer always
//! comes through. A connection ends once, with a [`Closed`] that every pending
//! and later request gets.

mod event_queue;
mod pending;
mod read;
mod reply;
mod write;

use crate::{
    config::Timing,
    error::Failure,
    event::Event,
    limits::{FRAMES_TO_WRITE_MAX, IN_FLIGHT_KIB_MAX, PING_INTERVAL_MAX, PING_INTERVAL_MIN, REQUEST_KIB_MIN, SLOW_LINE_BYTES_PER_S},
};
use bytes::Bytes;
use event_queue::EventQueue;
use fastchat_wire::{
    Block, Request,
    chat::{hello::Welcome, ping::Ping},
    encode_request,
    limits::{BLOCK_BYTES_MAX, PING_INTERVAL_MS},
};
use pending::Pending;
pub use reply::{Awaited, Reply};
use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, mpsc, watch},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// This side closed it.
    #[error("closed by this client")]
    Here,
    /// The other side closed it.
    #[error("closed by the server")]
    There,
    /// Nothing came for two ping intervals, or a frame took too long.
    #[error("the server is silent")]
    Silent,
    /// Nothing could be written for too long.
    #[error("the server reads nothing")]
    Stalled,
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Failed(String),
    /// The server said why, outside of any answer.
    #[error("the server said {0}")]
    Told(crate::Refused),
    /// The server broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Misbehaved(String),
}

/// One connection to a balancer or server. Clones are the same connection; with
/// the last one it is closed.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
    _task: Arc<AbortOnDropHandle<()>>,
}

/// What the handles and the task share.
struct Shared {
    next_id: AtomicU64,
    pending: Pending,
    room: Arc<Semaphore>,
    frames: mpsc::Sender<Bytes>,
    events: EventQueue,
    ping_interval: watch::Sender<Duration>,
    block_bytes_max: AtomicUsize,
    request_timeout: Duration,
    closed: OnceLock<Closed>,
    end: CancellationToken,
}

impl Connection {
    /// Takes over an open stream. Must be called within a tokio runtime.
    #[must_use]
    pub fn open<S: AsyncRead + AsyncWrite + Send + 'static>(stream: S, timing: &Timing) -> Self {
        let (frames, to_write) = mpsc::channel(FRAMES_TO_WRITE_MAX);
        let shared = Arc::new(Shared {
            next_id: AtomicU64::new(1),
            pending: Pending::default(),
            room: Arc::new(Semaphore::new(IN_FLIGHT_KIB_MAX as usize)),
            frames,
            events: EventQueue::default(),
            ping_interval: watch::Sender::new(Duration::from_millis(PING_INTERVAL_MS)),
            block_bytes_max: AtomicUsize::new(BLOCK_BYTES_MAX),
            request_timeout: timing.request,
            closed: OnceLock::new(),
            end: CancellationToken::new(),
        });
        let task = tokio::spawn(run(Arc::clone(&shared), stream, to_write, timing.write_stall));
        Self {
            shared,
            _task: Arc::new(AbortOnDropHandle::new(task)),
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The peer refuses, or there is no good answer.
    pub async fn request<R: Request>(&self, request: &R, block: &Block) -> Result<Reply<R::Response>, Failure> {
        self.start(request, block).await?.reply().await
    }

    /// Asks; the answer is awaited later. Requests that are started one after
    /// the other reach the peer in that order.
    ///
    /// # Errors
    /// The request can't be written, or the connection has ended.
    pub async fn start<R: Request>(&self, request: &R, block: &Block) -> Result<Awaited<R>, Failure> {
        self.start_collecting(request, block, 0).await
    }

    /// Like [`Self::start`]; up to `entries_max` entries of the answer are kept.
    pub(crate) async fn start_collecting<R: Request>(&self, request: &R, block: &Block, entries_max: usize) -> Result<Awaited<R>, Failure> {
        let shared = &self.shared;
        let block_bytes_max = shared.block_bytes_max.load(Ordering::Relaxed);
        if block.bytes.len() > block_bytes_max {
            let bytes = block.bytes.len();
            return Err(Failure::Usage(format!(
                "a block of {bytes} bytes: the server takes {block_bytes_max} at most, send it in pieces"
            )));
        }
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        let frame = encode_request(id, request, block).map_err(|error| Failure::Usage(format!("the request is too large: {error}")))?;
        let kib = u32::try_from(frame.len().div_ceil(1_024)).unwrap_or(u32::MAX);
        let kib = kib.clamp(REQUEST_KIB_MIN, IN_FLIGHT_KIB_MAX);
        let room = Arc::clone(&shared.room).acquire_many_owned(kib).await.map_err(|_| self.lost())?;
        // A large block gets the time that a slow line needs.
        let patience = shared.request_timeout + Duration::from_secs(frame.len() as u64 / SLOW_LINE_BYTES_PER_S);
        let answer = shared.pending.expect(id, entries_max).ok_or_else(|| self.lost())?;
        let awaited = Awaited::new(Arc::clone(shared), id, answer, room, patience);
        shared.frames.send(frame).await.map_err(|_| self.lost())?;
        Ok(awaited)
    }

    /// The next event. Cancel-safe; of several callers one gets it.
    ///
    /// # Errors
    /// The connection ended, and all events were taken.
    pub async fn next_event(&self) -> Result<Event, Closed> {
        self.shared.events.next().await.ok_or_else(|| self.shared.why())
    }

    /// Closes it: what is pending fails with [`Closed::Here`].
    pub fn close(&self) {
        self.shared.end.cancel();
    }

    /// Why it ended; `None` while it is open.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.shared.closed.get().cloned()
    }

    /// Follows what the server announced, within reason.
    pub(crate) fn announced(&self, welcome: &Welcome) {
        let interval = Duration::from_millis(welcome.ping_interval_ms).clamp(PING_INTERVAL_MIN, PING_INTERVAL_MAX);
        self.shared.ping_interval.send_replace(interval);
        let block_bytes_max = welcome.max_block.min(BLOCK_BYTES_MAX);
        self.shared.block_bytes_max.store(block_bytes_max, Ordering::Relaxed);
    }

    fn lost(&self) -> Failure {
        Failure::Lost(self.shared.why())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("closed", &self.closed()).finish_non_exhaustive()
    }
}

impl Shared {
    /// Why it ended. Until that is known: the other side did it.
    fn why(&self) -> Closed {
        self.closed.get().cloned().unwrap_or(Closed::There)
    }
}

/// Reads, writes and pings until one of them ends, or the handles close it.
async fn run<S: AsyncRead + AsyncWrite>(shared: Arc<Shared>, stream: S, to_write: mpsc::Receiver<Bytes>, write_stall: Duration) {
    let (read_half, write_half) = tokio::io::split(stream);
    let closed = tokio::select! {
        biased;
        () = shared.end.cancelled() => Closed::Here,
        closed = read::run(&shared, read_half) => closed,
        closed = write::run(to_write, write_half, write_stall) => closed,
        closed = ping(&shared) => closed,
    };
    tracing::debug!(%closed, "a connection ended");
    let _ = shared.closed.set(closed);
    shared.room.close();
    shared.pending.end();
    shared.events.end();
}

/// A sign of life each interval; that an answer comes is the reader's concern.
async fn ping(shared: &Shared) -> Closed {
    let mut interval = shared.ping_interval.subscribe();
    loop {
        let pause = *interval.borrow_and_update();
        tokio::select! {
            () = sleep(pause) => {}
            // Another interval counts from now on.
            Ok(()) = interval.changed() => continue,
        }
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        match encode_request(id, &Ping {}, &Block::none()) {
            // The answer's id is nobody's: it counts as a sign of life, and is dropped.
            Ok(frame) => {
                if shared.frames.send(frame).await.is_err() {
                    return Closed::Here;
                }
            }
            Err(error) => return Closed::Failed(error.to_string()),
        }
    }
}
