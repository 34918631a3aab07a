//! The link to one balancer: attach, then loads (PROTOCOL.md §9).

use super::load::{LoadMeter, TOLD_PER_LOAD_MAX};
use crate::{
    fleet_key::FleetKey,
    net::{
        reader::{FrameReader, ReadError},
        transport::Transport,
    },
};
use fastchat_tls::{ReadHalf, WriteHalf};
use fastchat_wire::{
    Block, FrameLimits,
    control::Peer,
    encode_event, encode_request,
    limits::{LINK_SILENCE_MS_MAX, LOAD_DELAY_MS_MAX, LOAD_INTERVAL_MS},
    link::{attach::Attach, reserved::Reserved},
};
use prometheus::IntCounter;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, sleep, sleep_until, timeout},
};

/// First and longest wait between two dials.
const DIAL_WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(1_000));
const SILENCE: Duration = Duration::from_millis(LINK_SILENCE_MS_MAX);
/// Changes that come this soon after a load go out together.
const COALESCE: Duration = Duration::from_millis(LOAD_DELAY_MS_MAX / 5);

/// What a server says of itself.
#[derive(Debug, Clone)]
pub(super) struct Introduction {
    pub(super) server: String,
    pub(super) address: String,
    pub(super) weight: f64,
    pub(super) key: FleetKey,
}

impl Introduction {
    /// True where it says the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.server == other.server && self.address == other.address && self.weight.total_cmp(&other.weight).is_eq()
    }
}

/// Keeps the link until it is aborted.
pub(super) async fn run(introduction: Introduction, transport: Transport, balancer: Peer, load: Arc<LoadMeter>) {
    let mut wait = DIAL_WAIT.0;
    loop {
        let began = Instant::now();
        let ended = link(&introduction, &transport, &balancer, &load).await;
        load.reserved(&balancer.name, None);
        if let Err(error) = ended {
            tracing::info!(balancer = balancer.name, %error, "no link to the balancer: dialling again");
        }
        wait = if began.elapsed() > DIAL_WAIT.1 {
            DIAL_WAIT.0
        } else {
            (wait * 2).min(DIAL_WAIT.1)
        };
        sleep(wait).await;
    }
}

/// One life of the link.
async fn link(introduction: &Introduction, transport: &Transport, balancer: &Peer, load: &LoadMeter) -> Result<(), ReadError> {
    let stream = timeout(SILENCE, transport.dial(&balancer.address))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let (read_half, mut writer) = stream.into_split();
    let bytes_in = IntCounter::new("link_bytes_in", "not registered").map_err(io::Error::other)?;
    let mut reader = FrameReader::new(read_half, FrameLimits::DEFAULT, SILENCE, bytes_in);

    let mut changes = load.changes();
    let (mut first, cursor) = load.load(&balancer.name, 0);
    let attach = Attach {
        server: introduction.server.clone(),
        address: introduction.address.clone(),
        weight: introduction.weight,
        token: introduction.key.attach_token(&introduction.server),
        redeemed: std::mem::take(&mut first.redeemed),
        load: first,
    };
    write(&mut writer, encode_request(1, &attach, &Block::none())).await?;
    let answer = timeout(SILENCE, reader.next(None)).await.map_err(|_| ReadError::TooSlow)??;
    if let Some(error) = answer.and_then(|frame| frame.failure()) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, error).into());
    }
    tracing::info!(balancer = balancer.name, "attached");
    tokio::select! {
        ended = reservations(&mut reader, &balancer.name, load) => ended,
        ended = loads(&mut writer, &balancer.name, load, &mut changes, cursor) => ended,
    }
}

async fn write(writer: &mut WriteHalf, frame: Result<bytes::Bytes, fastchat_wire::EncodeError>) -> Result<(), ReadError> {
    let frame = frame.map_err(io::Error::other)?;
    let written = async {
        writer.write_all(&frame).await?;
        writer.flush().await
    };
    timeout(SILENCE, written).await.map_err(|_| ReadError::TooSlow)??;
    Ok(())
}

/// Loads: soon after each change, and every so often.
async fn loads(
    writer: &mut WriteHalf,
    balancer: &str,
    load: &LoadMeter,
    changes: &mut tokio::sync::watch::Receiver<()>,
    mut cursor: u64,
) -> Result<(), ReadError> {
    loop {
        let (event, next) = load.load(balancer, cursor);
        let more = event.redeemed.len() + event.moving.len() >= TOLD_PER_LOAD_MAX;
        cursor = next;
        write(writer, encode_event(None, &event, &Block::none())).await?;
        if more {
            continue;
        }
        let sent = Instant::now();
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
            () = sleep(Duration::from_millis(LOAD_INTERVAL_MS)) => {}
        }
        sleep_until(sent + COALESCE).await;
        changes.mark_unchanged();
    }
}

/// What the balancer has reserved here, until the link ends.
async fn reservations(reader: &mut FrameReader<ReadHalf>, balancer: &str, load: &LoadMeter) -> Result<(), ReadError> {
    while let Some(frame) = reader.next(None).await? {
        if let Ok(reserved) = frame.parse::<Reserved>() {
            load.reserved(balancer, Some(reserved.count));
        }
    }
    Ok(())
}
