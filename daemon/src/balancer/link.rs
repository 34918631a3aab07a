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

use super::{connection::Connection, dispatcher::Dispatcher, failure, limits::Limits, registry::LinkId};
use bytes::Bytes;
use fastchat_wire::{
    Code, Empty, EncodeError, ErrorBody, EventName, Frame, FrameLimits, Kind, Op, encode_event, encode_response,
    frame::Block,
    limits::{BLOCK_BYTES_MAX_UNAUTHENTICATED, HEADER_BYTES_MAX, INTEGER_MAX, LABEL_BYTES_MAX},
    link::{attach::Attach, load::Load, reserved::Reserved},
};
use std::{io, ops::RangeInclusive, sync::Arc};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// A share outside is a slip of somebody's pen.
const WEIGHTS: RangeInclusive<f64> = 0.001..=1_000.0;
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

impl Links {
    /// One link's life.
    pub(super) async fn serve(self, stream: TcpStream) {
        if let Err(error) = self.run(stream).await {
            tracing::debug!(%error, "a link ended");
        }
    }

    async fn run(&self, stream: TcpStream) -> io::Result<()> {
        let mut connection = Connection::new(stream, FRAME_LIMITS)?;
        let mut attached = None;
        let mut changes = self.dispatcher.changes();
        let mut heard = Instant::now();
        let mut told = None;
        // When to tell our reservations next; set where they may have changed.
        let mut tell_at: Option<Instant> = None;
        let mut earliest = heard;
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Ok(()),
                () = sleep_until(tell_at.unwrap_or(heard)), if tell_at.is_some() => {
                    tell_at = None;
                    earliest = Instant::now() + self.limits.reserved_delay;
                    let Some(reserved) = attached.as_ref().and_then(|a: &Attached| self.dispatcher.reserved(a.link)) else {
                        return Ok(());
                    };
                    if told.replace(reserved) != Some(reserved) {
                        let event = Reserved { count: reserved };
                        let bytes = encode_event(None, &event, &Block::none()).map_err(ours)?;
                        connection.write(&bytes, self.limits.link_silence).await?;
                    }
                }
                read = connection.read() => {
                    if read? == 0 {
                        return Ok(());
                    }
                    loop {
                        let frame = match connection.next() {
                            Ok(Some(frame)) => frame,
                            Ok(None) => break,
                            Err(error) => {
                                tracing::warn!(%error, "a server's link broke the framing");
                                let answer = failure::encode(error.re, ErrorBody::new(error.code, error.message)).map_err(ours)?;
                                // Gone before the connection is: nobody is sent to a server that can't be understood.
                                drop(attached.take());
                                connection.refuse(&answer, self.limits.discard).await;
                                return Ok(());
                            }
                        };
                        match self.take(&frame, &mut attached).map_err(ours)? {
                            Next::Read => {}
                            Next::Reply(bytes) => connection.write(&bytes, self.limits.link_silence).await?,
                            Next::Refuse(bytes) => {
                                drop(attached.take());
                                connection.refuse(&bytes, self.limits.discard).await;
                                return Ok(());
                            }
                            Next::End => return Ok(()),
                        }
                        if attached.is_some() {
                            heard = Instant::now();
                        }
                    }
                    if attached.is_some() && told.is_none() {
                        tell_at.get_or_insert(earliest);
                    }
                }
                // The dispatcher outlives its links.
                _ = changes.changed(), if attached.is_some() && tell_at.is_none() => tell_at = Some(earliest.max(Instant::now())),
                () = sleep_until(heard + self.limits.link_silence) => {
                    let server = attached.as_ref().map_or("", |attached| &attached.server);
                    tracing::warn!(server, "a link was silent for too long and counts as dead");
                    return Ok(());
                }
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
        return bad("weight is a number from 0.001 to 1000");
    }
    let load = checked_load(request.load)?;
    Ok(Attach { load, ..request })
}

fn checked_load(load: Load) -> Result<Load, ErrorBody> {
    if load.connections > INTEGER_MAX || load.reserved_elsewhere > INTEGER_MAX {
        return Err(ErrorBody::new(
            Code::BadRequest,
            "connections and reserved-elsewhere are integers up to 2^53",
        ));
    }
    Ok(load)
}

fn ours(error: EncodeError) -> io::Error {
    tracing::error!(%error, "an answer can't be written; its link is closed");
    io::Error::other(error)
}
