//! A peer's side of a link: check who it is, hand on what it sends, notice what is missing.

use super::{
    Mesh,
    handshake::{Control, GREETING_LIMITS, Greeting, Side, nonce},
};
use crate::{
    bus::{BusEvent, HEARTBEAT, LINK_SILENCE, Message, Refused, VERSION, alive},
    net::reader::{FrameReader, ReadError},
};
use fastchat_wire::{Frame, FrameLimits};
use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split},
    net::{TcpListener, TcpStream},
    time::{interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Takes links until the mesh stops.
pub(super) async fn accept(mesh: Arc<Mesh>, listener: TcpListener) {
    while let Some(accepted) = mesh.shutdown.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((socket, _)) => {
                let mesh_of_link = Arc::clone(&mesh);
                mesh.tasks.spawn(async move { hear(&mesh_of_link, socket).await });
            }
            Err(error) => {
                tracing::warn!(%error, "the bus listener can't accept");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// One incoming link, from its hello to its end.
async fn hear(mesh: &Mesh, socket: TcpStream) {
    let Ok(greeting) = mesh.greetings.try_acquire() else {
        mesh.metrics.refuse(Refused::TooMany);
        return;
    };
    // A heartbeat waits for nothing.
    let _ = socket.set_nodelay(true);
    let Some(stream) = mesh.door.open(socket, LINK_SILENCE).await else {
        return;
    };
    let mut link = Incoming::new(mesh, stream);
    let peer = match timeout(LINK_SILENCE, link.greet(mesh)).await {
        Ok(Ok(peer)) => peer,
        Ok(Err(NotLet::Refused(reason))) => {
            mesh.metrics.refuse(reason);
            tracing::warn!(reason = reason.as_str(), "a bus link was refused");
            return;
        }
        Ok(Err(NotLet::Read(error))) => {
            tracing::debug!(%error, "a bus link ended at its greeting");
            return;
        }
        Err(_) => {
            tracing::debug!("a bus link was too slow at its greeting");
            return;
        }
    };
    drop(greeting);
    let number = mesh.next_link.fetch_add(1, Ordering::Relaxed);
    let end = mesh.shutdown.child_token();
    if let Some((_, former)) = mesh.heard().insert(peer.clone(), (number, end.clone())) {
        former.cancel();
    }
    mesh.show(&peer);
    mesh.tell(BusEvent::Hears(peer.clone())).await;

    let Incoming { mut reader, writer } = link;
    let ended = tokio::select! {
        ended = messages(mesh, &peer, &mut reader, &end) => ended,
        error = keep(writer) => Err(error.into()),
    };
    if let Err(error) = ended {
        tracing::info!(peer, %error, "a bus link is silent");
    }
    let current = {
        let mut heard = mesh.heard();
        let current = heard.get(&peer).is_some_and(|(n, _)| *n == number);
        if current {
            heard.remove(&peer);
        }
        current
    };
    if current {
        mesh.metrics.links_ended.inc();
        mesh.show(&peer);
        mesh.tell(BusEvent::Silent(peer)).await;
    }
}

/// Both halves of a link that was accepted.
struct Incoming<S> {
    reader: FrameReader<ReadHalf<S>>,
    writer: WriteHalf<S>,
}

/// Why somebody did not get in.
enum NotLet {
    Refused(Refused),
    Read(ReadError),
}

impl From<ReadError> for NotLet {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Frame(_) => Self::Refused(Refused::Malformed),
            error => Self::Read(error),
        }
    }
}

impl From<io::Error> for NotLet {
    fn from(error: io::Error) -> Self {
        Self::Read(error.into())
    }
}

impl<S: AsyncRead + AsyncWrite> Incoming<S> {
    fn new(mesh: &Mesh, stream: S) -> Self {
        let (reader, writer) = split(stream);
        let bytes_in = mesh.metrics.bytes_in.clone();
        Self {
            reader: FrameReader::new(reader, GREETING_LIMITS, LINK_SILENCE * 2, bytes_in),
            writer,
        }
    }

    /// Who it is.
    async fn greet(&mut self, mesh: &Mesh) -> Result<String, NotLet> {
        let greeted = self.prove(mesh).await;
        if let Err(NotLet::Refused(reason)) = &greeted {
            let reason = reason.as_str().to_owned();
            self.write(&Control::Refused { reason }).await?;
        }
        greeted
    }

    async fn prove(&mut self, mesh: &Mesh) -> Result<String, NotLet> {
        let first = self.next().await?;
        let (version, greeting) = match Control::decode(&first) {
            Some(Control::Hello {
                version,
                from,
                to,
                nonce: dialler,
            }) => {
                let listener = nonce();
                (
                    version,
                    Greeting {
                        from,
                        to,
                        dialler,
                        listener,
                    },
                )
            }
            _ => return Err(NotLet::Refused(Refused::Malformed)),
        };
        if version != VERSION {
            return Err(NotLet::Refused(Refused::Version));
        }
        if greeting.to != mesh.name {
            tracing::warn!(
                asked = greeting.to,
                "a server dialled this one for another: check the addresses of the bus"
            );
            return Err(NotLet::Refused(Refused::Malformed));
        }
        let welcome = Control::Welcome {
            nonce: greeting.listener.clone(),
            proof: greeting.proof(Side::Listener, &mesh.key),
        };
        self.write(&welcome).await?;
        let second = self.next().await?;
        let Some(Control::Proof { proof }) = Control::decode(&second) else {
            return Err(NotLet::Refused(Refused::Malformed));
        };
        greeting.check(Side::Dialler, &proof, &mesh.key).map_err(NotLet::Refused)?;
        self.reader.set_limits(FrameLimits::DEFAULT);
        Ok(greeting.from)
    }

    async fn next(&mut self) -> Result<Frame, ReadError> {
        self.reader.next(None).await?.ok_or(ReadError::Closed)
    }

    async fn write(&mut self, control: &Control) -> io::Result<()> {
        self.writer.write_all(&control.encode()?).await?;
        self.writer.flush().await
    }
}

/// Tells the dialler each [`HEARTBEAT`] that the link stands; ends with an error only.
async fn keep<S: AsyncWrite>(mut writer: WriteHalf<S>) -> io::Error {
    let heard = match Control::Heard.encode() {
        Ok(heard) => heard,
        Err(error) => return error,
    };
    let mut beat = interval(HEARTBEAT);
    loop {
        beat.tick().await;
        let written = async {
            writer.write_all(&heard).await?;
            writer.flush().await
        };
        match alive(written).await {
            Some(Ok(())) => {}
            Some(Err(error)) => return error,
            None => return io::ErrorKind::TimedOut.into(),
        }
    }
}

async fn messages<S: AsyncRead>(
    mesh: &Mesh,
    peer: &str,
    reader: &mut FrameReader<ReadHalf<S>>,
    end: &CancellationToken,
) -> Result<(), ReadError> {
    let mut received = 0u64;
    // A link that another one took the place of tells nothing more.
    let tell = async |event| end.run_until_cancelled(mesh.tell(event)).await;
    loop {
        let Some(frame) = end.run_until_cancelled(alive(reader.next(None))).await else {
            return Ok(());
        };
        let frame = frame.ok_or(ReadError::TooSlow)??.ok_or(ReadError::Closed)?;
        if let Some(Control::Heartbeat { sent }) = Control::decode(&frame) {
            if sent > received {
                mesh.metrics.messages_lost.inc_by(sent - received);
                tracing::warn!(peer, lost = sent - received, "bus messages were lost");
                received = sent;
                tell(BusEvent::Gap(peer.to_owned())).await;
            }
            continue;
        }
        let message = Message::decode(&frame).map_err(|error| {
            mesh.metrics.refuse(Refused::Malformed);
            io::Error::new(io::ErrorKind::InvalidData, error)
        })?;
        received += 1;
        mesh.metrics.messages_in.inc();
        tell(BusEvent::Message(peer.to_owned(), message)).await;
    }
}
