//! Piping a client that can't be redirected to its server, byte for byte (PROTOCOL.md §3).
//!
//! ```text
//!  assign, proxy ── place taken ──> answered ── wait-ms ──> dialled ──> piped ── either end goes ──> closed
//!                └─ no place ──> overloaded
//! ```
//!
//! What one end does not read is not read from the other: nothing is buffered
//! here but one read for each direction. An end that shuts down its half is
//! passed on, and the other half has a little time to finish.

use super::{limits::Limits, metrics::Metrics};
use crate::net::{scratch::read_into, transport::Transport};
use bytes::{Bytes, BytesMut};
use fastchat_tls::Stream;
use prometheus::IntGauge;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::{Instant, sleep, timeout},
};

/// Read at a time, at most, in each direction.
const READ_BYTES: usize = 16 << 10;

/// Places for clients that are piped; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Pipes(Arc<Semaphore>);

/// A client that was given a server, and is answered and then piped.
#[derive(Debug)]
pub(super) struct Piped {
    /// What it is answered.
    pub(super) answer: Bytes,
    /// The server's address.
    pub(super) address: String,
    /// When it is dialled.
    pub(super) wait: Duration,
    /// Its place, until this is dropped.
    pub(super) place: OwnedSemaphorePermit,
}

impl Pipes {
    /// So many at a time.
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }

    /// Takes a place, where there is one.
    pub(super) fn take(&self) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        Arc::clone(&self.0).try_acquire_owned()
    }
}

/// Dials the server and pipes until either end goes; `early` is what the client had sent already.
///
/// # Errors
/// The server can't be reached, or an end failed or was silent for too long.
pub(super) async fn run(
    client: Stream,
    early: &[u8],
    address: &str,
    transport: &Transport,
    metrics: &Metrics,
    limits: Limits,
) -> io::Result<()> {
    let dialling = async {
        let mut server = transport.dial(address).await?;
        server.write_all(early).await?;
        server.flush().await?;
        Ok::<_, io::Error>(server)
    };
    let server = timeout(limits.pipe_dial, dialling).await??;
    metrics.piped_bytes.with_label_values(&[UP]).inc_by(early.len() as u64);
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let heard = Heard::new();
    let _counted = Counted::new(&metrics.pipes);
    let up = pump(&mut from_client, &mut to_server, UP, &heard, metrics, limits);
    let down = pump(&mut from_server, &mut to_client, DOWN, &heard, metrics, limits);
    tokio::pin!(up, down);
    // Who says nothing more may still be told something, for a little while.
    let both = async {
        tokio::select! {
            first = &mut up => { first?; timeout(limits.pipe_end, &mut down).await? }
            first = &mut down => { first?; timeout(limits.pipe_end, &mut up).await? }
        }
    };
    tokio::select! {
        ended = both => ended,
        () = heard.is_quiet_for(limits.pipe_quiet) => Err(io::Error::new(io::ErrorKind::TimedOut, "neither end said anything")),
    }
}

/// From the client to the server.
pub(super) const UP: &str = "up";
/// From the server to the client.
pub(super) const DOWN: &str = "down";

/// One pipe on the gauge, however it ends.
struct Counted(IntGauge);

impl Counted {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One direction, to its end.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    direction: &str,
    heard: &Heard,
    metrics: &Metrics,
    limits: Limits,
) -> io::Result<()> {
    let moved = metrics.piped_bytes.with_label_values(&[direction]);
    loop {
        // Between two reads nothing is held: most pipes are silent most of the time.
        let mut bytes = BytesMut::new();
        if read_into(from, &mut bytes, READ_BYTES).await? == 0 {
            return to.shutdown().await;
        }
        heard.now();
        timeout(limits.quiet, async {
            to.write_all(&bytes).await?;
            to.flush().await
        })
        .await??;
        moved.inc_by(bytes.len() as u64);
        heard.now();
    }
}

/// When either end was heard last.
struct Heard {
    began: Instant,
    /// ms since then.
    last: AtomicU64,
}

impl Heard {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            last: AtomicU64::new(0),
        }
    }

    fn now(&self) {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(ms, Ordering::Relaxed);
    }

    async fn is_quiet_for(&self, most: Duration) {
        loop {
            let quiet_at = self.began + Duration::from_millis(self.last.load(Ordering::Relaxed)) + most;
            let left = quiet_at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }
}
