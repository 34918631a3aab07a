//! One client's connection: the only place that touches its socket.
//!
//! ```text
//!  socket ──> FrameReader ──> Session::admit ──> handler ──> outbox ──> socket
//!                                 append ──> appender ─────────^  ^── pushes (hub)
//! ```
//!
//! Reading and writing are two futures of one task. The reader stops taking
//! requests while too many answers wait; a slow writer never holds up pushes to
//! others.

use super::{
    Server,
    admission::{Entry, Meter},
    appender::Source,
    blobs,
    context::Identity,
    dispatch,
    handlers::{Call, Refusal},
    hub::{ConnectionId, Online},
    metrics::{Closed, UNKNOWN_OP},
    session::{Admitted, Session},
};
use crate::{
    limits::Limit,
    net::{
        farewell,
        outbox::{Outbox, Outgoing},
        reader::{FrameReader, ReadError},
    },
    store::Denied,
};
use bytes::Bytes;
use fastchat_tls::{ReadHalf, WriteHalf};
use fastchat_wire::{Block, Code, Frame, FrameLimits, Kind, Op, chat::behind::Behind, encode_event};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// Bytes written at once.
const WRITE_BYTES: usize = 64 << 10;
/// A write that makes no progress for so long, or up to a quarter longer, ends the connection.
const WRITE_STALL: Duration = Duration::from_secs(30);
/// What is queued when a connection ends is written for at most this long.
const FLUSH: Duration = Duration::from_secs(1);
/// KiB of blocks of one connection that may wait for their commit.
const APPENDING_KIB_MAX: u32 = 1_024;
/// Ranges of blobs that wait to be written to one connection: one is written while the next one is read.
const RANGES_MAX: usize = 2;

/// Blocks of at least this length are counted among the partial ones: others fit
/// into what a read is given anyway.
const COUNTED_BYTES_MIN: usize = 8 << 10;

/// One connection.
pub(super) struct Connection {
    server: Arc<Server>,
    id: ConnectionId,
    reader: FrameReader<ReadHalf>,
    outbox: Arc<Outbox>,
    place: Place,
    source: Arc<Source>,
    meter: Meter,
    /// Room for blocks that wait for their commit.
    appending: Arc<Semaphore>,
    /// Places for answers with a range of a blob, each taken until it is written.
    ranges: Arc<Semaphore>,
    /// Ends this connection.
    end: CancellationToken,
    /// Without a sign-in it is closed then.
    sign_in_by: Instant,
    /// Set at sign-in: the presence change that must be known before the first answer from logs.
    unknown_presence: Option<u64>,
}

/// What a connection counts as here; given back with its end, by a panic too.
struct Place {
    server: Arc<Server>,
    id: ConnectionId,
    session: Session,
    /// Why it ended; it stays at this where a handler panics.
    closed: Closed,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Session::Ready(identity) = self.session
            && self.server.hub.detach(identity.account, self.id)
        {
            self.server.peers.unwatch(identity.account);
            self.server.peers.changed(identity.account);
        }
        if self.session != Session::AwaitingHello {
            self.server.load.closed();
        }
        self.server.metrics.closed.with_label_values(&[self.closed.as_str()]).inc();
    }
}

/// Serves a connection until its end.
pub(super) async fn serve(server: Arc<Server>, socket: TcpStream, entry: Entry, id: ConnectionId, end: CancellationToken) {
    server.metrics.accepted.inc();
    let sign_in = server.limits.sign_in + spread(id, server.limits.sign_in / 4);
    let sign_in_by = Instant::now() + sign_in;
    // Boxed, for it is over by the time that counts: every connection's task would be as much larger.
    let entering = Box::pin(server.door.open(socket, sign_in));
    let Some(stream) = end.run_until_cancelled(entering).await.flatten() else {
        server.metrics.closed.with_label_values(&[Closed::Handshake.as_str()]).inc();
        return;
    };
    let (read_half, write_half) = stream.into_split();
    let outbox = Arc::new(Outbox::default());
    let reader = FrameReader::new(
        read_half,
        FrameLimits::UNAUTHENTICATED,
        server.limits.frame,
        server.metrics.bytes_in.clone(),
    );
    let source = Arc::new(Source {
        connection: id,
        outbox: Arc::clone(&outbox),
        gate: Default::default(),
    });
    let mut connection = Connection {
        id,
        reader,
        place: Place {
            server: Arc::clone(&server),
            id,
            session: Session::AwaitingHello,
            closed: Closed::Error,
        },
        source,
        meter: Meter::new(Arc::clone(&server.admission), entry),
        appending: Arc::new(Semaphore::new(APPENDING_KIB_MAX as usize)),
        ranges: Arc::new(Semaphore::new(RANGES_MAX)),
        end: end.clone(),
        sign_in_by,
        unknown_presence: None,
        outbox: Arc::clone(&outbox),
        server: Arc::clone(&server),
    };
    let stall = WRITE_STALL + spread(id, WRITE_STALL / 4);
    let mut writing = std::pin::pin!(write(&server, &outbox, write_half, stall));
    let closed = {
        let mut reading = std::pin::pin!(connection.read());
        tokio::select! {
            closed = &mut reading => closed,
            failed = &mut writing => {
                // The request at hand is served to its end, or what it changed would not be told.
                end.cancel();
                outbox.close();
                reading.await;
                failed
            }
        }
    };
    let Connection {
        reader,
        appending,
        mut place,
        ..
    } = connection;
    place.closed = closed;
    drop(place);
    if matches!(closed, Closed::Slow | Closed::Error) {
        return;
    }
    // What is queued still goes out, with the answers to appends that are being
    // committed; then the sending half is shut.
    let rest = async {
        let answered = appending.acquire_many(APPENDING_KIB_MAX);
        tokio::select! {
            // Answers are written meanwhile.
            _ = &mut writing => return,
            _ = answered => outbox.close(),
        }
        writing.await;
    };
    let flushed = Box::pin(timeout(FLUSH, rest)).await.is_ok();
    outbox.close();
    // Unread input would reset the connection, and with it what was just written.
    if flushed && matches!(closed, Closed::BadFrame | Closed::Limited | Closed::Ended) {
        Box::pin(farewell::discard(reader.into_socket())).await;
    }
}

/// A part of `most` that differs from connection to connection: a crowd that came at
/// once does not end at once, and those who are served do not wait for all of its ends.
fn spread(id: ConnectionId, most: Duration) -> Duration {
    // Multiples of the golden ratio are spread evenly over the unit interval.
    let part = (id.0 as u32).wrapping_mul(0x9e37_79b9);
    most.mul_f64(f64::from(part) / f64::from(u32::MAX))
}

/// Writes what the outbox gives until it is closed; then shuts the sending half. A write that takes longer than `stall`
/// ends it.
async fn write(server: &Server, outbox: &Outbox, mut socket: WriteHalf, stall: Duration) -> Closed {
    loop {
        let frames = match outbox.take(WRITE_BYTES).await {
            Outgoing::Frames(frames) => frames,
            Outgoing::Behind => match encode_event(None, &Behind { log: None, last_seq: None }, &Block::none()) {
                Ok(frame) => vec![frame],
                Err(_) => return Closed::Error,
            },
            Outgoing::Closed => {
                // The peer may be gone already; then there is nothing to shut.
                let _ = socket.shutdown().await;
                return Closed::Peer;
            }
        };
        // One frame is written where it lies; several go out together.
        let together;
        let bytes = match frames.as_slice() {
            [alone] => alone,
            several => {
                together = several.concat();
                &together[..]
            }
        };
        for slice in bytes.chunks(WRITE_BYTES) {
            let written = async {
                socket.write_all(slice).await?;
                socket.flush().await
            };
            match timeout(stall, written).await {
                Ok(Ok(())) => server.metrics.bytes_out.inc_by(slice.len() as u64),
                Ok(Err(_)) => return Closed::Error,
                Err(_) => return Closed::Slow,
            }
        }
        server.metrics.frames_out.inc_by(frames.len() as u64);
    }
}

impl Connection {
    /// Reads and serves until the connection is to end.
    async fn read(&mut self) -> Closed {
        let end = self.end.clone();
        loop {
            let next = {
                // Pinned here: moved into what waits for it, it would be in the task twice.
                let next = std::pin::pin!(async {
                    self.outbox.has_room().await;
                    let (frame, room) = self.next_frame().await?;
                    let account = self.place.session.account();
                    self.meter.frame(2 + frame.header.len() + frame.block.len(), account).await;
                    Ok((frame, room))
                });
                end.run_until_cancelled(next).await
            };
            let (frame, room) = match next {
                None => return Closed::Ended,
                Some(Ok(next)) => next,
                Some(Err(closed)) => return closed,
            };
            self.server.metrics.frames_in.inc();
            // Events and responses of a client mean nothing to a server.
            if let Kind::Request { op, id } = frame.head.kind {
                self.server
                    .metrics
                    .requests
                    .with_label_values(&[op.map_or(UNKNOWN_OP, Op::as_str)])
                    .inc();
                let served = self.serve_request(op, Call { id, frame }, room).await;
                let refused = match &served {
                    Ok(asked) => asked.as_ref().err(),
                    Err(refusal) => {
                        self.server.metrics.errors.with_label_values(&[refusal.error.code.as_str()]).inc();
                        self.outbox.answer(refusal.encode(Some(id)));
                        Some(refusal)
                    }
                };
                match refused.map(|refusal| refusal.error.code) {
                    Some(Code::BadFrame) => return Closed::BadFrame,
                    Some(Code::RateLimited) if self.meter.is_abused() => return Closed::Limited,
                    _ => {}
                }
            }
        }
    }

    /// The next frame, with the room that its block takes.
    async fn next_frame(&mut self) -> Result<(Frame, Option<OwnedSemaphorePermit>), Closed> {
        let signing_in = !matches!(self.place.session, Session::Ready(_));
        let silent = Instant::now() + self.server.limits.ping_interval * 2;
        let deadline = if signing_in { silent.min(self.sign_in_by) } else { silent };
        let first = timeout_at(deadline, self.reader.next(Some(COUNTED_BYTES_MIN))).await;
        let mut room = None;
        let frame = match first.map_err(|_| Closed::Silent)? {
            Ok(Some(frame)) => Ok(Some(frame)),
            Ok(None) => {
                // First come, first served: the oldest partial frames have their room and go on.
                let bytes = self.reader.awaited_block_bytes().unwrap_or(0);
                let pause = Instant::now();
                let blocks = &self.server.admission.blocks;
                room = blocks.try_take(bytes);
                if room.is_none() {
                    self.server.admission.count(Limit::ServerBlocks);
                    room = blocks.take(bytes).await;
                }
                self.reader.paused(pause.elapsed());
                if signing_in {
                    let rest = timeout_at(self.sign_in_by + pause.elapsed(), self.reader.next(None)).await;
                    rest.map_err(|_| Closed::Silent)?
                } else {
                    self.reader.next(None).await
                }
            }
            Err(error) => Err(error),
        };
        match frame {
            Ok(Some(frame)) => Ok((frame, room)),
            Ok(None) | Err(ReadError::Closed) => Err(Closed::Peer),
            Err(ReadError::Frame(error)) => {
                self.server.metrics.errors.with_label_values(&[error.code.as_str()]).inc();
                self.outbox.answer(Refusal::new(error.code, error.message).encode(error.re));
                Err(Closed::BadFrame)
            }
            Err(ReadError::TooSlow) => Err(Closed::Slow),
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Closed::Peer),
            Err(ReadError::Io(_)) => Err(Closed::Error),
        }
    }

    /// Serves a request. The inner result is of one that is answered elsewhere: whether its sender's rates allow it.
    async fn serve_request(
        &mut self,
        op: Option<Op>,
        call: Call,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<Result<(), Refusal>, Refusal> {
        let server = Arc::clone(&self.server);
        let admitted = self.place.session.admit(op)?;
        let allowed = self.meter.request(&admitted);
        if !matches!(admitted, Admitted::Serve(Op::Append, _)) {
            allowed.clone()?;
        }
        // Boxed where it isn't the hot path: the largest of these would be a part of
        // every connection's task, also while it waits.
        let answer = match admitted {
            Admitted::Hello => {
                let answer = super::handlers::hello::handle(&server, &call)?;
                self.place.session = Session::SigningIn;
                answer
            }
            Admitted::SignIn(op) => {
                let (identity, answer) = Box::pin(dispatch::sign_in(&server, op, &call)).await?;
                Box::pin(self.sign_on(identity)).await?;
                answer
            }
            Admitted::Open(op) => Box::pin(dispatch::open(&server, op, &call)).await?,
            Admitted::Serve(Op::Append, identity) => {
                let kib = u32::try_from(call.frame.block.len() / 1_024 + 1)
                    .unwrap_or(u32::MAX)
                    .min(APPENDING_KIB_MAX);
                let waiting = Arc::clone(&self.appending)
                    .acquire_many_owned(kib)
                    .await
                    .map_err(|e| Refusal::internal(&e))?;
                // Refused in its turn, too: a refusal holds up the later ones to its log, and none before it.
                super::handlers::append::start(&server, &identity, &call, &self.source, (waiting, room), allowed.clone().err()).await?;
                return Ok(allowed);
            }
            Admitted::Serve(op @ (Op::Fetch | Op::Conversations), identity) => {
                if let Some(change) = self.unknown_presence.take() {
                    Box::pin(server.peers.known(change)).await;
                }
                Box::pin(dispatch::serve(&server, op, &identity, &call, self.id)).await?
            }
            Admitted::Serve(Op::Logout, identity) => {
                let answer = Box::pin(dispatch::serve(&server, Op::Logout, &identity, &call, self.id)).await?;
                self.end.cancel();
                answer
            }
            Admitted::Serve(Op::BlobGet, identity) => {
                // A slow reader is not read from either.
                let place = Arc::clone(&self.ranges).acquire_owned();
                let Some(Ok(place)) = self.end.run_until_cancelled(place).await else {
                    return Err(Refusal::new(Code::Unavailable, "this connection ends: ask again on another one"));
                };
                let range = Box::pin(dispatch::serve(&server, Op::BlobGet, &identity, &call, self.id)).await?;
                let held = server.context.blobs.hold(range.iter().map(Bytes::len).sum());
                let place = Arc::new((held, place));
                range
                    .into_iter()
                    .map(|frame| blobs::until_written(frame, Arc::clone(&place)))
                    .collect()
            }
            Admitted::Serve(op, identity) => Box::pin(dispatch::serve(&server, op, &identity, &call, self.id)).await?,
        };
        for frame in answer {
            self.outbox.answer(frame);
        }
        Ok(Ok(()))
    }

    /// From now on pushes arrive.
    async fn sign_on(&mut self, identity: Identity) -> Result<(), Refusal> {
        self.place.session = Session::Ready(identity);
        self.reader.set_limits(FrameLimits::DEFAULT);
        let online = Online {
            connection: self.id,
            since: Instant::now(),
            identity,
            outbox: Arc::clone(&self.outbox),
            end: self.end.clone(),
        };
        self.meter.signed_in();
        let server = &self.server;
        let ended = server.hub.attach(Arc::new(online), server.admission.account_connections_max());
        (0..ended).for_each(|_| server.admission.count(Limit::AccountConnections));
        // Also where the account was online already: whether that was told yet, nobody here knows.
        self.unknown_presence = Some(server.peers.changed(identity.account));
        // A session that ended before the hub had it was not told its end.
        match server.context.store.ended(&[identity.session]).await {
            Ok(ended) if ended.is_empty() => {}
            Ok(_) => {
                self.end.cancel();
                return Err(Denied::Unauthenticated.into());
            }
            Err(error) => server.peers.doubt(&error),
        }
        match server.context.store.logs_of(identity.actor()).await {
            Ok(logs) => server.delivery.activate(identity.account, logs).await,
            Err(error) => server.peers.doubt(&error),
        }
        Ok(())
    }
}
