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
    net::{
        farewell,
        outbox::{Outbox, Outgoing},
        reader::{FrameReader, ReadError},
    },
    store::Denied,
};
use bytes::Bytes;
use fastchat_wire::{Block, Code, Frame, FrameLimits, Kind, Op, chat::behind::Behind, encode_event};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// Bytes written at once.
const WRITE_BYTES: usize = 64 << 10;
/// A write that makes no progress for so long ends the connection.
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
    reader: FrameReader<OwnedReadHalf>,
    outbox: Arc<Outbox>,
    place: Place,
    source: Arc<Source>,
    /// Room for blocks that wait for their commit.
    appending: Arc<Semaphore>,
    /// Places for answers with a range of a blob, each taken until it is written.
    ranges: Arc<Semaphore>,
    /// Ends this connection.
    end: CancellationToken,
    opened: Instant,
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
            self.server.peers.changed(identity.account);
        }
        if self.session != Session::AwaitingHello {
            self.server.load.closed();
        }
        self.server.metrics.closed.with_label_values(&[self.closed.as_str()]).inc();
    }
}

/// Serves a connection until its end.
pub(super) async fn serve(server: Arc<Server>, socket: TcpStream, id: ConnectionId, end: CancellationToken) {
    server.metrics.accepted.inc();
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "a socket without TCP_NODELAY");
    }
    let (read_half, write_half) = socket.into_split();
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
        appending: Arc::new(Semaphore::new(APPENDING_KIB_MAX as usize)),
        ranges: Arc::new(Semaphore::new(RANGES_MAX)),
        end: end.clone(),
        opened: Instant::now(),
        unknown_presence: None,
        outbox: Arc::clone(&outbox),
        server: Arc::clone(&server),
    };
    let mut writing = std::pin::pin!(write(&server, &outbox, write_half));
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
    let flushed = timeout(FLUSH, rest).await.is_ok();
    outbox.close();
    // Unread input would reset the connection, and with it what was just written.
    if flushed && matches!(closed, Closed::BadFrame | Closed::Ended) {
        farewell::discard(reader.into_socket()).await;
    }
}

/// Writes what the outbox gives until it is closed; then shuts the sending half.
async fn write(server: &Server, outbox: &Outbox, mut socket: OwnedWriteHalf) -> Closed {
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
        // A large frame comes alone, and is not copied.
        let together = if let [frame] = &frames[..] {
            frame.clone()
        } else {
            frames.concat().into()
        };
        for slice in together.chunks(WRITE_BYTES) {
            match timeout(WRITE_STALL, socket.write_all(slice)).await {
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
            let next = async {
                self.outbox.has_room().await;
                self.next_frame().await
            };
            let (frame, room) = match end.run_until_cancelled(next).await {
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
                if let Err(refusal) = self.serve_request(op, Call { id, frame }, room).await {
                    self.server.metrics.errors.with_label_values(&[refusal.error.code.as_str()]).inc();
                    let broken = refusal.error.code == Code::BadFrame;
                    self.outbox.answer(refusal.encode(Some(id)));
                    if broken {
                        return Closed::BadFrame;
                    }
                }
            }
        }
    }

    /// The next frame, with the room that its block takes.
    async fn next_frame(&mut self) -> Result<(Frame, Option<OwnedSemaphorePermit>), Closed> {
        let signing_in = !matches!(self.place.session, Session::Ready(_));
        let silent = Instant::now() + self.server.limits.ping_interval * 2;
        let sign_in = self.opened + self.server.limits.sign_in;
        let deadline = if signing_in { silent.min(sign_in) } else { silent };
        let first = timeout_at(deadline, self.reader.next(Some(COUNTED_BYTES_MIN))).await;
        let mut room = None;
        let frame = match first.map_err(|_| Closed::Silent)? {
            Ok(Some(frame)) => Ok(Some(frame)),
            Ok(None) => {
                // First come, first served: the oldest partial frames have their room and go on.
                let kib = self.reader.awaited_block_bytes().unwrap_or(0).div_ceil(1_024);
                let wanted = u32::try_from(kib).unwrap_or(u32::MAX);
                let pause = Instant::now();
                room = Arc::clone(&self.server.partial_blocks).acquire_many_owned(wanted).await.ok();
                self.reader.paused(pause.elapsed());
                if signing_in {
                    let rest = timeout_at(sign_in + pause.elapsed(), self.reader.next(None)).await;
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

    async fn serve_request(&mut self, op: Option<Op>, call: Call, room: Option<OwnedSemaphorePermit>) -> Result<(), Refusal> {
        let server = Arc::clone(&self.server);
        let answer = match self.place.session.admit(op)? {
            Admitted::Hello => {
                let answer = super::handlers::hello::handle(&server, &call)?;
                self.place.session = Session::SigningIn;
                answer
            }
            Admitted::SignIn(op) => {
                let (identity, answer) = dispatch::sign_in(&server, op, &call).await?;
                self.sign_on(identity).await?;
                answer
            }
            Admitted::Open(op) => dispatch::open(&server, op, &call).await?,
            Admitted::Serve(Op::Append, identity) => {
                let kib = u32::try_from(call.frame.block.len() / 1_024 + 1)
                    .unwrap_or(u32::MAX)
                    .min(APPENDING_KIB_MAX);
                let waiting = Arc::clone(&self.appending)
                    .acquire_many_owned(kib)
                    .await
                    .map_err(|e| Refusal::internal(&e))?;
                return super::handlers::append::start(&server, &identity, &call, &self.source, (waiting, room)).await;
            }
            Admitted::Serve(op @ (Op::Fetch | Op::Conversations), identity) => {
                if let Some(change) = self.unknown_presence.take() {
                    server.peers.known(change).await;
                }
                dispatch::serve(&server, op, &identity, &call, self.id).await?
            }
            Admitted::Serve(Op::Logout, identity) => {
                let answer = dispatch::serve(&server, Op::Logout, &identity, &call, self.id).await?;
                self.end.cancel();
                answer
            }
            Admitted::Serve(Op::BlobGet, identity) => {
                // A slow reader is not read from either.
                let place = Arc::clone(&self.ranges).acquire_owned();
                let Some(Ok(place)) = self.end.run_until_cancelled(place).await else {
                    return Err(Refusal::new(Code::Unavailable, "this connection ends: ask again on another one"));
                };
                let range = dispatch::serve(&server, Op::BlobGet, &identity, &call, self.id).await?;
                let held = server.context.blobs.hold(range.iter().map(Bytes::len).sum());
                let place = Arc::new((held, place));
                range
                    .into_iter()
                    .map(|frame| blobs::until_written(frame, Arc::clone(&place)))
                    .collect()
            }
            Admitted::Serve(op, identity) => dispatch::serve(&server, op, &identity, &call, self.id).await?,
        };
        for frame in answer {
            self.outbox.answer(frame);
        }
        Ok(())
    }

    /// From now on pushes arrive.
    async fn sign_on(&mut self, identity: Identity) -> Result<(), Refusal> {
        self.place.session = Session::Ready(identity);
        self.reader.set_limits(FrameLimits::DEFAULT);
        let online = Online {
            connection: self.id,
            identity,
            outbox: Arc::clone(&self.outbox),
            end: self.end.clone(),
        };
        let server = &self.server;
        server.hub.attach(Arc::new(online));
        // Also where the account was online already: whether that was told yet, nobody here knows.
        self.unknown_presence = Some(server.peers.changed(identity.account));
        // A session that ended before the hub had it was not told its end.
        match server.context.store.living(&[identity.session]).await {
            Ok(living) if living.is_empty() => {
                self.end.cancel();
                return Err(Denied::Unauthenticated.into());
            }
            Ok(_) => {}
            Err(error) => server.peers.doubt(&error),
        }
        match server.context.store.logs_of(identity.actor()).await {
            Ok(logs) => server.delivery.activate(identity.account, logs).await,
            Err(error) => server.peers.doubt(&error),
        }
        Ok(())
    }
}
