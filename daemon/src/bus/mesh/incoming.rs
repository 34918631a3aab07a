//! A peer's side of a link: check who it is, hand on what it sends, notice what is missing.

use super::{Control, LINK_SILENCE, Mesh};
use crate::{
    bus::{BusEvent, Message},
    fleet_key::same,
    net::reader::{FrameReader, ReadError},
};
use fastchat_tls::Stream;
use fastchat_wire::FrameLimits;
use prometheus::IntCounter;
use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
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
    let Some(stream) = mesh.door.open(socket, LINK_SILENCE).await else {
        return;
    };
    let bytes_in = IntCounter::new("bus_bytes_in", "not registered").ok();
    let Some(bytes_in) = bytes_in else { return };
    let mut reader = FrameReader::new(stream, FrameLimits::DEFAULT, LINK_SILENCE, bytes_in);
    let peer = match hello(mesh, &mut reader).await {
        Ok(peer) => peer,
        Err(error) => {
            tracing::warn!(%error, "a bus link was refused");
            return;
        }
    };
    let number = mesh.next_link.fetch_add(1, Ordering::Relaxed);
    let end = mesh.shutdown.child_token();
    if let Some((_, former)) = mesh.heard().insert(peer.clone(), (number, end.clone())) {
        former.cancel();
    }
    mesh.show(&peer);
    mesh.tell(BusEvent::Hears(peer.clone())).await;

    if let Err(error) = messages(mesh, &peer, &mut reader, &end).await {
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
        mesh.show(&peer);
        mesh.tell(BusEvent::Silent(peer)).await;
    }
}

async fn next(reader: &mut FrameReader<Stream>) -> Result<fastchat_wire::Frame, ReadError> {
    let frame = timeout(LINK_SILENCE, reader.next(None)).await.map_err(|_| ReadError::TooSlow)??;
    frame.ok_or(ReadError::Closed)
}

async fn hello(mesh: &Mesh, reader: &mut FrameReader<Stream>) -> Result<String, ReadError> {
    let frame = next(reader).await?;
    match serde_json::from_slice(&frame.header) {
        Ok(Control::Hello { from, token }) if same(&token, &mesh.key.bus_token(&from)) => Ok(from),
        _ => Err(io::Error::new(io::ErrorKind::PermissionDenied, "not a server of this fleet").into()),
    }
}

async fn messages(mesh: &Mesh, peer: &str, reader: &mut FrameReader<Stream>, end: &CancellationToken) -> Result<(), ReadError> {
    let mut received = 0u64;
    // A link that another one took the place of tells nothing more.
    let tell = async |event| end.run_until_cancelled(mesh.tell(event)).await;
    loop {
        let Some(frame) = end.run_until_cancelled(next(reader)).await else {
            return Ok(());
        };
        let frame = frame?;
        if let Ok(Control::Heartbeat { sent }) = serde_json::from_slice(&frame.header) {
            if sent > received {
                tracing::warn!(peer, lost = sent - received, "bus messages were lost");
                received = sent;
                tell(BusEvent::Gap(peer.to_owned())).await;
            }
            continue;
        }
        let message = Message::decode(&frame).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        received += 1;
        mesh.metrics.messages_in.inc();
        tell(BusEvent::Message(peer.to_owned(), message)).await;
    }
}
