//! A server's link (PROTOCOL.md §9): `attach`, then `load` events in and
//! `reserved` events out.
//!
//! ```text
//!  accepted ── attach, token good ──> attached ── 2 s of silence, end, newer link ──> gone
//!      └── 2 s without a good attach ──> closed
//! ```
//!
//! However a link's task ends, its server is no candidate from then on: the
//! [`Attached`] that it holds detaches when it is dropped.

use super::{connection::Connection, dispatcher::Dispatcher, failure, limits::Limits};
use crate::net::door::Door;
use bytes::Bytes;
use fastchat_balancing::{WEIGHTS, registry::LinkId};
use fastchat_wire::{
    Code, Empty, EncodeError, ErrorBody, EventName, Frame, FrameLimits, Kind, Op, encode_event, encode_response,
    frame::Block,
    limits::{BLOCK_BYTES_MAX_UNAUTHENTICATED, HEADER_BYTES_MAX, INTEGER_MAX, LABEL_BYTES_MAX},
    link::{attach::Attach, load::Load, reserved::Reserved},
};
use std::{io, sync::Arc};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// `attach` and `load` carry tickets in their headers and nothing in their blocks.
const FRAME_LIMITS: FrameLimits = FrameLimits {
    header_bytes_max: HEADER_BYTES_MAX,
    block_bytes_max: BLOCK_BYTES_MAX_UNAUTHENTICATED,
};
/// Longest `host:port`.
const ADDRESS_BYTES_MAX: usize = 261;

/// What every link needs.
#[derive(Clone)]
pub(super) struct Links {
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) door: Door,
    pub(super) limits: Limits,
    pub(super) shutdown: CancellationToken,
}

/// A server that has joined, until this is dropped.
struct Attached {
    dispatcher: Arc<Dispatcher>,
    link: LinkId,
    server: String,
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.dispatcher.detach(self.link);
        tracing::info!(server = self.server, "a server's link has ended");
    }
}

/// What a frame leads to.
enum Next {
    /// The link goes on.
    Read,
    /// It goes on, after these bytes.
    Reply(Bytes),
    /// It ends, after these bytes.
    Refuse(Bytes),
    /// A newer link has replaced it.
    End,
}

/// When our reservations are told, and what was told last.
struct Telling {
    told: Option<u64>,
    /// Set where they may have changed.
    due: Option<Instant>,
    /// Not before: changes within a short time are told together.
    earliest: Instant,
}

impl Telling {
    fn ask(&mut self) {
        self.due.get_or_insert(self.earliest.max(Instant::now()));
    }
}

impl Links {
    /// One link's life.
    pub(super) async fn serve(self, stream: TcpStream) {
        if let Err(error) = self.run(stream).await {
            tracing::debug!(%error, "a link ended");
        }
    }

    async fn run(&self, stream: TcpStream) -> io::Result<()> {
        let opened = Instant::now();
        let entering = self.door.open(stream, self.limits.link_silence);
        let Some(stream) = self.shutdown.run_until_cancelled(entering).await.flatten() else {
            return Ok(());
        };
        let mut connection = Connection::new(stream, FRAME_LIMITS);
        let mut attached: Option<Attached> = None;
        let mut changes = self.dispatcher.changes();
        let mut heard = opened;
        let mut telling = Telling {
            told: None,
            due: None,
            earliest: heard,
        };
        let last = loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Ok(()),
                // A stranger's time is over however busy it is.
                () = sleep_until(heard + self.limits.link_silence), if attached.is_none() => {
                    tracing::warn!("a link did not attach in time and is closed");
                    return Ok(());
                }
                () = sleep_until(telling.due.unwrap_or(heard)), if telling.due.is_some() => {
                    let Some(link) = attached.as_ref().map(|attached| attached.link) else { return Ok(()) };
                    if !self.tell(&mut connection, link, &mut telling).await? {
                        return Ok(());
                    }
                }
                // Before silence: after a pause of this process what the server sent meanwhile counts.
                read = connection.read() => {
                    if read? == 0 {
                        return Ok(());
                    }
                    let known = attached.is_some();
                    match self.take_all(&mut connection, &mut attached, &mut heard).await? {
                        Next::Refuse(bytes) => break bytes,
                        Next::End => return Ok(()),
                        // A new link is told where it stands.
                        Next::Read | Next::Reply(_) => if !known && attached.is_some() {
                            telling.ask();
                        },
                    }
                }
                // The dispatcher outlives its links.
                _ = changes.changed(), if attached.is_some() && telling.due.is_none() => telling.ask(),
                () = sleep_until(heard + self.limits.link_silence) => {
                    let server = attached.as_ref().map_or("", |attached| &attached.server);
                    tracing::warn!(server, "a link was silent for too long and counts as dead");
                    return Ok(());
                }
            }
        };
        // Gone before the connection is: nobody is sent to a server that can't be understood.
        drop(attached);
        connection.refuse(&last, self.limits.discard).await;
        Ok(())
    }

    /// Tells our reservations, where they are others than told. False where a newer link has replaced this one.
    async fn tell(&self, connection: &mut Connection, link: LinkId, telling: &mut Telling) -> io::Result<bool> {
        telling.due = None;
        telling.earliest = Instant::now() + self.limits.reserved_delay;
        let Some(count) = self.dispatcher.reserved(link) else {
            return Ok(false);
        };
        if telling.told.replace(count) != Some(count) {
            let bytes = encode_event(None, &Reserved { count }, &Block::none()).map_err(ours)?;
            connection.write(&bytes, self.limits.link_silence).await?;
        }
        Ok(true)
    }

    /// Takes every complete frame that was read, and answers requests; `heard` is when an attached server said something last.
    async fn take_all(&self, connection: &mut Connection, attached: &mut Option<Attached>, heard: &mut Instant) -> io::Result<Next> {
        loop {
            let next = match connection.next() {
                Ok(Some(frame)) => self.take(&frame, attached).map_err(ours)?,
                Ok(None) => return Ok(Next::Read),
                Err(error) => {
                    tracing::warn!(%error, "a server's link broke the framing");
                    let body = ErrorBody::new(error.code, error.message);
                    return failure::encode(error.re, body).map(Next::Refuse).map_err(ours);
                }
            };
            match next {
                Next::Read => {}
                Next::Reply(bytes) => connection.write(&bytes, self.limits.link_silence).await?,
                Next::Refuse(_) | Next::End => return Ok(next),
            }
            if attached.is_some() {
                *heard = Instant::now();
            }
        }
    }

    fn take(&self, frame: &Frame, attached: &mut Option<Attached>) -> Result<Next, EncodeError> {
        match (frame.head.kind, &attached) {
            (Kind::Request { op: Some(Op::Attach), id }, None) => match self.attach(frame) {
                Ok(joined) => {
                    *attached = Some(joined);
                    encode_response(id, &Empty {}, &Block::none()).map(Next::Reply)
                }
                Err(error) => {
                    tracing::warn!(%error, "a server could not attach");
                    let closes = error.code == Code::BadFrame;
                    let bytes = failure::encode(Some(id), error)?;
                    Ok(if closes { Next::Refuse(bytes) } else { Next::Reply(bytes) })
                }
            },
            (Kind::Request { op: Some(Op::Attach), id }, Some(_)) => {
                let error = ErrorBody::new(Code::BadRequest, "this link is attached already: open another one");
                failure::encode(Some(id), error).map(Next::Reply)
            }
            (Kind::Request { id, .. }, None) => {
                let error = ErrorBody::new(Code::Unauthenticated, "attach first");
                failure::encode(Some(id), error).map(Next::Reply)
            }
            (Kind::Request { id, .. }, Some(_)) => {
                let error = ErrorBody::new(Code::UnknownOp, "a balancer's link knows attach only");
                failure::encode(Some(id), error).map(Next::Reply)
            }
            (
                Kind::Event {
                    name: Some(EventName::Load),
                    ..
                },
                Some(Attached { link, server, .. }),
            ) => match frame.parse().and_then(checked_load) {
                Ok(load) if self.dispatcher.load(*link, server, &load).is_ok() => Ok(Next::Read),
                Ok(_) => Ok(Next::End),
                Err(error) => {
                    tracing::warn!(server, %error, "a server's load can't be read");
                    failure::encode(None, error).map(Next::Refuse)
                }
            },
            // Events that a later release may send, and those before attach.
            (Kind::Event { .. } | Kind::Response { .. }, _) => Ok(Next::Read),
        }
    }

    fn attach(&self, frame: &Frame) -> Result<Attached, ErrorBody> {
        let request = checked_attach(frame.parse()?)?;
        let link = self.dispatcher.attach(&request)?;
        tracing::info!(server = request.server, address = request.address, "a server has attached");
        Ok(Attached {
            dispatcher: Arc::clone(&self.dispatcher),
            link,
            server: request.server,
        })
    }
}

fn checked_attach(request: Attach) -> Result<Attach, ErrorBody> {
    let bad = |message: &str| Err(ErrorBody::new(Code::BadRequest, message));
    let name = request.server.as_bytes();
    if name.is_empty() || name.len() > LABEL_BYTES_MAX || !name.iter().all(u8::is_ascii_graphic) {
        return bad("server is a name of 1 to 128 printable ASCII characters");
    }
    let port = request
        .address
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty())
        .map(|(_, port)| port.parse::<u16>());
    if request.address.len() > ADDRESS_BYTES_MAX || !matches!(port, Some(Ok(1..))) {
        return bad("address is host:port");
    }
    if !WEIGHTS.contains(&request.weight) {
        let (min, max) = (WEIGHTS.start(), WEIGHTS.end());
        return bad(&format!("weight is a number from {min} to {max}"));
    }
    let load = checked_load(request.load)?;
    Ok(Attach { load, ..request })
}

fn checked_load(load: Load) -> Result<Load, ErrorBody> {
    let counts = [load.connections, load.reserved_elsewhere, load.bytes_out, load.bytes_in];
    if counts.iter().any(|count| *count > INTEGER_MAX) {
        return Err(ErrorBody::new(
            Code::BadRequest,
            "connections, bytes-out, bytes-in and reserved-elsewhere are integers up to 2^53",
        ));
    }
    Ok(load)
}

fn ours(error: EncodeError) -> io::Error {
    tracing::error!(%error, "an answer can't be written; its link is closed");
    io::Error::other(error)
}
