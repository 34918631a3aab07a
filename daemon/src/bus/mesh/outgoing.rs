//! Our side of a link: dial, say who we are, write what is queued, beat.

use super::{Control, HEARTBEAT, LINK_BYTES_MAX, LINK_MESSAGES_MAX, LINK_SILENCE, Mesh, Shared};
use crate::{
    bus::BusEvent,
    net::outbox::{Outbox, Outgoing},
};
use bytes::Bytes;
use fastchat_wire::{control::Peer, encode_private};
use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// First and longest wait between two dials.
const DIAL_WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// Bytes that are written at once.
const WRITE_BYTES: usize = 256 << 10;

/// Keeps the link to one peer until `stop`.
pub(super) async fn run(mesh: Arc<Mesh>, peer: Peer, shared: Arc<Shared>, stop: CancellationToken) {
    let (mut wait, mut failing) = (DIAL_WAIT.0, false);
    loop {
        let began = Instant::now();
        let number = mesh.next_link.fetch_add(1, Ordering::Relaxed);
        let ended = stop.run_until_cancelled(link(&mesh, &peer, &shared, number)).await;
        let was_up = shared.outbox().take().is_some();
        if was_up {
            mesh.tell(BusEvent::Deaf(peer.name.clone(), number)).await;
        }
        let Some(Err(error)) = ended else { return };
        if was_up {
            tracing::info!(peer = peer.name, %error, "bus link ended");
        } else if !failing {
            tracing::info!(peer = peer.name, %error, "no bus link yet: dialling again");
        }
        failing = !was_up;
        wait = if began.elapsed() > DIAL_WAIT.1 {
            DIAL_WAIT.0
        } else {
            (wait * 2).min(DIAL_WAIT.1)
        };
        if stop.run_until_cancelled(sleep(wait)).await.is_none() {
            return;
        }
    }
}

fn control(control: &Control) -> io::Result<Bytes> {
    encode_private(control, &[]).map_err(io::Error::other)
}

/// One life of the link; it ends with an error only.
async fn link(mesh: &Mesh, peer: &Peer, shared: &Shared, number: u64) -> io::Result<()> {
    let stream = timeout(LINK_SILENCE, mesh.transport.dial(&peer.address))
        .await
        .map_err(|_| io::ErrorKind::TimedOut)??;
    let (mut reader, mut writer) = stream.into_split();
    writer
        .write_all(&control(&Control::Hello {
            from: mesh.name.clone(),
            token: mesh.key.bus_token(&mesh.name),
        })?)
        .await?;
    writer.flush().await?;

    let outbox = Arc::new(Outbox::with_bounds(LINK_BYTES_MAX, LINK_MESSAGES_MAX));
    let dropped_before = shared.dropped.load(Ordering::Relaxed);
    *shared.outbox() = Some(Arc::clone(&outbox));
    mesh.tell(BusEvent::Listening(peer.name.clone(), number)).await;

    let mut written = 0u64;
    let mut beat = interval(HEARTBEAT);
    let mut nothing = [0u8; 1];
    loop {
        let frames = tokio::select! {
            // The peer writes nothing on this link: an answer is its end.
            read = reader.read(&mut nothing) => return Err(read.err().unwrap_or_else(|| io::ErrorKind::ConnectionAborted.into())),
            _ = beat.tick() => {
                let dropped = shared.dropped.load(Ordering::Relaxed) - dropped_before;
                vec![control(&Control::Heartbeat { sent: written + dropped })?]
            }
            taken = outbox.take(WRITE_BYTES) => match taken {
                Outgoing::Frames(frames) => {
                    written += frames.len() as u64;
                    frames
                }
                // The next heartbeat says what was dropped.
                Outgoing::Behind => continue,
                Outgoing::Closed => return Err(io::ErrorKind::ConnectionAborted.into()),
            },
        };
        let bytes = frames.concat();
        let written = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        timeout(LINK_SILENCE, written).await.map_err(|_| io::ErrorKind::TimedOut)??;
    }
}
