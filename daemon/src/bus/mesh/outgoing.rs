//! Our side of a link: dial, say who we are, write what is queued, beat.

use super::{
    LINK_BYTES_MAX, LINK_MESSAGES_MAX, Mesh, Shared,
    handshake::{Control, GREETING_LIMITS, Greeting, Side, nonce},
};
use crate::{
    bus::{BusEvent, HEARTBEAT, LINK_SILENCE, Refused, VERSION, alive, redial::Redial},
    net::{
        outbox::{Outbox, Outgoing},
        reader::FrameReader,
    },
};
use fastchat_wire::{Secret32, control::Peer};
use std::{
    io,
    sync::{Arc, atomic::Ordering},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split},
    time::{interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Bytes that are written at once.
const WRITE_BYTES: usize = 256 << 10;

/// Keeps the link to one peer until `stop`.
pub(super) async fn run(mesh: Arc<Mesh>, peer: Peer, shared: Arc<Shared>, stop: CancellationToken) {
    let (mut redial, mut said) = (Redial::default(), String::new());
    loop {
        let number = mesh.next_link.fetch_add(1, Ordering::Relaxed);
        let ended = stop.run_until_cancelled(link(&mesh, &peer, &shared, number)).await;
        let was_up = shared.outbox().take().is_some();
        if was_up {
            mesh.tell(BusEvent::Deaf(peer.name.clone(), number)).await;
            redial.worked();
            said.clear();
        }
        let Some(Err(error)) = ended else { return };
        let why = error.to_string();
        // Once for each trouble, not for each dial.
        if why != said {
            tracing::info!(
                peer = peer.name,
                address = peer.address,
                why,
                was_up,
                "no bus link to a server: dialling it again and again"
            );
            said = why;
        }
        if stop.run_until_cancelled(sleep(redial.failed(rand::random()))).await.is_none() {
            return;
        }
    }
}

/// One life of the link; it ends with an error only.
async fn link(mesh: &Mesh, peer: &Peer, shared: &Shared, number: u64) -> io::Result<()> {
    let greeted = async {
        let stream = mesh.transport.dial(&peer.address).await?;
        let mut link = Dialled::new(mesh, stream);
        link.greet(mesh, &peer.name).await?;
        io::Result::Ok(link)
    };
    let link = timeout(LINK_SILENCE, greeted).await.map_err(|_| silent())??;
    let outbox = Arc::new(Outbox::with_bounds(LINK_BYTES_MAX, LINK_MESSAGES_MAX));
    let dropped_before = shared.dropped.load(Ordering::Relaxed);
    *shared.outbox() = Some(Arc::clone(&outbox));
    mesh.tell(BusEvent::Listening(peer.name.clone(), number)).await;

    let Dialled { reader, writer } = link;
    let dropped = || shared.dropped.load(Ordering::Relaxed) - dropped_before;
    tokio::select! {
        ended = write(mesh, writer, &outbox, dropped) => ended,
        ended = heard(reader) => ended,
    }
}

fn silent() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it says nothing")
}

/// Both halves of a link that we dialled.
struct Dialled<S> {
    reader: FrameReader<ReadHalf<S>>,
    writer: WriteHalf<S>,
}

impl<S: AsyncRead + AsyncWrite> Dialled<S> {
    fn new(mesh: &Mesh, stream: S) -> Self {
        let (reader, writer) = split(stream);
        let bytes_in = mesh.metrics.bytes_in.clone();
        Self {
            reader: FrameReader::new(reader, GREETING_LIMITS, LINK_SILENCE * 2, bytes_in),
            writer,
        }
    }

    async fn greet(&mut self, mesh: &Mesh, peer: &str) -> io::Result<()> {
        let dialler = nonce();
        let hello = Control::Hello {
            version: VERSION,
            from: mesh.name.clone(),
            to: peer.to_owned(),
            nonce: dialler.clone(),
        };
        self.write(&hello).await?;
        let (listener, proof) = self.welcome().await?;
        let greeting = Greeting {
            from: mesh.name.clone(),
            to: peer.to_owned(),
            dialler,
            listener,
        };
        if let Err(reason) = greeting.check(Side::Listener, &proof, &mesh.key) {
            mesh.metrics.refuse(reason);
            return Err(denied("it does not have this fleet's key: check the addresses of the bus"));
        }
        let proof = greeting.proof(Side::Dialler, &mesh.key);
        self.write(&Control::Proof { proof }).await
    }

    async fn welcome(&mut self) -> io::Result<(Secret32, Secret32)> {
        let frame = self.reader.next(None).await.map_err(io::Error::other)?;
        match frame.as_ref().and_then(Control::decode) {
            Some(Control::Welcome { nonce, proof }) => Ok((nonce, proof)),
            Some(Control::Refused { reason }) if reason == Refused::Version.as_str() => Err(denied(
                "it is of a release that speaks otherwise: there is a link once both are of one",
            )),
            Some(Control::Refused { reason }) => Err(denied(&format!("it refuses the link: {reason}"))),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is no server's bus: check the addresses of the bus",
            )),
        }
    }

    async fn write(&mut self, control: &Control) -> io::Result<()> {
        self.writer.write_all(&control.encode()?).await?;
        self.writer.flush().await
    }
}

fn denied(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why.to_owned())
}

/// Writes what is queued and the heartbeats.
async fn write<S: AsyncWrite>(mesh: &Mesh, mut writer: WriteHalf<S>, outbox: &Outbox, dropped: impl Fn() -> u64) -> io::Result<()> {
    let mut written = 0u64;
    let mut beat = interval(HEARTBEAT);
    loop {
        let bytes = tokio::select! {
            _ = beat.tick() => Control::Heartbeat { sent: written + dropped() }.encode()?,
            taken = outbox.take(WRITE_BYTES) => match taken {
                Outgoing::Frames(frames) => {
                    written += frames.len() as u64;
                    frames.concat().into()
                }
                // The next heartbeat says what was dropped.
                Outgoing::Behind => continue,
                Outgoing::Closed => return Err(io::ErrorKind::ConnectionAborted.into()),
            },
        };
        let writing = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        alive(writing).await.ok_or_else(silent)??;
        mesh.metrics.bytes_out.inc_by(bytes.len() as u64);
    }
}

/// Returns once the peer says no more that it hears us.
async fn heard<S: AsyncRead>(mut reader: FrameReader<ReadHalf<S>>) -> io::Result<()> {
    loop {
        let next = alive(reader.next(None)).await.ok_or_else(silent)?;
        let frame = next.map_err(io::Error::other)?;
        match frame.as_ref().and_then(Control::decode) {
            Some(Control::Heard) => {}
            Some(Control::Refused { reason }) => return Err(denied(&format!("it refuses the link: {reason}"))),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "it says what it should not")),
        }
    }
}
