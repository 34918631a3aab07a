//! A client's connection: reads requests, writes answers in their order.
//!
//! Pipelining is bounded by construction: one read's worth of requests is
//! answered and written before the next read. The only socket writer is the
//! loop here.

use super::{
    admission::{Admission, Visit},
    assign::{self, Answer},
    connection::Connection,
    dispatcher::Dispatcher,
    limits::Limits,
    metrics::Metrics,
    pipe::{self, Piped, Pipes},
};
use crate::net::{door::Door, transport::Transport};
use bytes::BytesMut;
use fastchat_wire::{EncodeError, FrameLimits};
use std::{io, sync::Arc};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// Answers are written once there are this many bytes of them.
const WRITE_BYTES: usize = 16 << 10;

/// How a connection goes on after a batch of frames.
enum Next {
    /// It reads on; true where at least one frame was complete.
    Read(bool),
    /// It is refused with these last bytes.
    Refuse(bytes::Bytes),
    /// It is answered, and piped to a server from then on.
    Pipe(Piped),
}

/// What every client's connection needs.
#[derive(Clone)]
pub(super) struct Clients {
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) admission: Arc<Admission>,
    pub(super) metrics: Metrics,
    pub(super) door: Door,
    pub(super) pipes: Pipes,
    pub(super) transport: Transport,
    pub(super) limits: Limits,
    pub(super) shutdown: CancellationToken,
}

impl Clients {
    /// One connection's life.
    pub(super) async fn serve(self, stream: TcpStream) {
        // Without an address it is gone already.
        let Ok(peer) = stream.peer_addr() else { return };
        let visit = match Arc::clone(&self.admission).enter(peer.ip(), &self.metrics) {
            Ok(visit) => visit,
            Err(error) => {
                if let Ok(bytes) = assign::failure(&self.metrics, None, error) {
                    self.door.refuse(stream, &bytes);
                }
                return;
            }
        };
        self.metrics.connections.inc();
        // The peer's faults are answered on the wire; how its socket ends is nobody's business but its own.
        if let Err(error) = self.run(stream, &visit).await {
            tracing::debug!(%error, "a client's connection ended");
        }
        self.metrics.connections.dec();
    }

    /// Tells a client that there is no place for it.
    pub(super) fn refuse(&self, stream: TcpStream) {
        if let Ok(bytes) = assign::no_place(&self.metrics) {
            self.door.refuse(stream, &bytes);
        }
    }

    async fn run(&self, stream: TcpStream, visit: &Visit) -> io::Result<()> {
        let mut quiet_since = Instant::now();
        let entering = self.door.open(stream, self.limits.quiet);
        let Some(stream) = self.shutdown.run_until_cancelled(entering).await.flatten() else {
            return Ok(());
        };
        let mut connection = Connection::new(stream, FrameLimits::UNAUTHENTICATED);
        let mut frame_since = None;
        loop {
            let deadline = frame_since.map_or(quiet_since + self.limits.quiet, |since| since + self.limits.frame);
            let read = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Ok(()),
                read = timeout_at(deadline, connection.read()) => read??,
            };
            if read == 0 {
                return Ok(());
            }
            self.metrics.bytes_in.inc_by(read as u64);
            match self.answer_all(&mut connection, visit).await? {
                Next::Refuse(bytes) => {
                    self.metrics.bytes_out.inc_by(bytes.len() as u64);
                    connection.refuse(&bytes, self.limits.discard).await;
                    return Ok(());
                }
                Next::Pipe(piped) => return self.pipe(connection, piped).await,
                Next::Read(any) => {
                    if any {
                        quiet_since = Instant::now();
                        frame_since = None;
                    }
                    if connection.is_mid_frame() {
                        frame_since.get_or_insert_with(Instant::now);
                    }
                }
            }
        }
    }

    /// Pipes a client that was answered, until an end goes or the balancer stops.
    async fn pipe(&self, connection: Connection, piped: Piped) -> io::Result<()> {
        let (stream, early) = connection.into_parts();
        // Its place is given back when it ends.
        let Piped {
            address,
            wait,
            place: _place,
            ..
        } = piped;
        let piping = async {
            sleep(wait).await;
            pipe::run(stream, &early, &address, &self.transport, &self.metrics, self.limits).await
        };
        self.shutdown.run_until_cancelled(piping).await.unwrap_or(Ok(()))
    }

    /// Answers every complete frame that was read.
    async fn answer_all(&self, connection: &mut Connection, visit: &Visit) -> io::Result<Next> {
        let mut out = BytesMut::new();
        let mut any = false;
        let refusal = loop {
            if out.len() >= WRITE_BYTES {
                self.write(connection, &mut out).await?;
            }
            match connection.next() {
                Ok(None) => break None,
                Ok(Some(frame)) => {
                    any = true;
                    self.metrics.frames_in.inc();
                    match assign::answer(&self.dispatcher, &self.metrics, &self.pipes, visit, &frame).map_err(ours)? {
                        Answer::None => {}
                        Answer::Reply(bytes) => {
                            self.metrics.frames_out.inc();
                            out.extend_from_slice(&bytes);
                        }
                        Answer::Refusal(bytes) => break Some(bytes),
                        Answer::Pipe(piped) => {
                            self.metrics.frames_out.inc();
                            out.extend_from_slice(&piped.answer);
                            self.write(connection, &mut out).await?;
                            return Ok(Next::Pipe(piped));
                        }
                    }
                }
                Err(error) => break Some(assign::refusal(&self.metrics, error).map_err(ours)?),
            }
        };
        self.write(connection, &mut out).await?;
        match refusal {
            Some(bytes) => {
                self.metrics.frames_out.inc();
                Ok(Next::Refuse(bytes))
            }
            None => Ok(Next::Read(any)),
        }
    }

    async fn write(&self, connection: &mut Connection, out: &mut BytesMut) -> io::Result<()> {
        if !out.is_empty() {
            connection.write(out, self.limits.quiet).await?;
            self.metrics.bytes_out.inc_by(out.len() as u64);
            out.clear();
        }
        Ok(())
    }
}

fn ours(error: EncodeError) -> io::Error {
    tracing::error!(%error, "an answer can't be written; its connection is closed");
    io::Error::other(error)
}
