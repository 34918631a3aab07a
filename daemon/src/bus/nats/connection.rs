//! The connection to the broker: dial, subscribe, read and write, until it ends; then again.

use super::{
    Nats,
    envelope::{Body, Envelope, To, Wrong},
    queue::Packed,
    trouble::advice,
};
use crate::bus::{BusEvent, HEARTBEAT, LINK_SILENCE, Message, Refused, redial::Redial};
use anyhow::{Context, anyhow};
use async_nats::{Client, ConnectOptions, Event, PublishErrorKind, ServerAddr, Subscriber};
use bytes::Bytes;
use fastchat_wire::{
    Deframer, FrameLimits,
    control::{NatsLogin, NatsPlace},
};
use futures::{FutureExt, StreamExt};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// From the dial to the broker's greeting.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// Our own heartbeat comes back through the broker; without one for so long, the connection is dead.
const ECHO_SILENCE: Duration = Duration::from_millis(2_000);
/// Messages of one subject that wait to be read; more are dropped, and show as gaps.
const UNREAD_MAX: usize = 16_384;
/// Messages to us that are read in a row while some to all may wait.
const STREAK_MAX: u32 = 64;
/// Envelopes that wait to be written; then the queue grows.
const UNWRITTEN_MAX: usize = 64;
/// Longest message of ours, with its envelope.
const PAYLOAD_BYTES: usize = 64 << 10;

/// Keeps a connection to the broker until the shutdown.
pub(super) async fn run(bus: &Nats) {
    let (mut redial, mut said) = (Redial::default(), String::new());
    loop {
        let Some(ended) = bus.shutdown.run_until_cancelled(life(bus)).await else {
            break;
        };
        let (worked, why) = ended;
        if worked {
            redial.worked();
            said.clear();
        }
        down(bus).await;
        let why = format!("{why:#}");
        // Once for each trouble, not for each dial.
        if why != said {
            tracing::warn!(broker = %bus.place, why, "the bus is down: dialling the broker again and again, and looking into the logs each second");
            said = why;
        }
        let wait = redial.failed(rand::random());
        let telling = async {
            loop {
                bus.news.notified().await;
                bus.tell().await;
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = telling => {}
            () = bus.shutdown.cancelled() => break,
        }
    }
    down(bus).await;
}

/// All links are down.
async fn down(bus: &Nats) {
    bus.metrics.connected.set(0);
    {
        let mut state = bus.state();
        state.queue.clear();
        let events = state.table.disconnect();
        state.untold.extend(events);
    }
    bus.tell().await;
}

/// One connection, from the dial to its end: whether it had begun, and why it ended.
async fn life(bus: &Nats) -> (bool, anyhow::Error) {
    let ended = CancellationToken::new();
    let begun = async {
        let client = connect(&bus.place, &bus.name, ended.clone()).await?;
        let all = client.subscribe(bus.subject_of_all()).await?;
        let own = client.subscribe(bus.subject_of(&bus.name)).await?;
        timeout(CONNECT_TIME_MAX, client.flush())
            .await
            .context("the broker does not answer")??;
        anyhow::Ok((client, all, own))
    };
    let (client, all, own) = match begun.await {
        Ok(begun) => begun,
        Err(error) => return (false, error),
    };
    let payload_bytes_max = client.max_payload();
    tracing::info!(broker = %bus.place, payload_bytes_max, "the bus is up");
    if payload_bytes_max < PAYLOAD_BYTES {
        tracing::error!(
            payload_bytes_max,
            "the broker takes too short messages: set max_payload to {PAYLOAD_BYTES} or more in its configuration"
        );
    }
    bus.metrics.connected.set(1);
    let why = tokio::select! {
        why = read(bus, all, own) => why,
        why = write(bus, &client) => why,
        () = ended.cancelled() => anyhow!("the broker ended the connection"),
    };
    (true, why)
}

/// Dials the brokers until one lets us in; `ended` is cancelled when that connection ends.
pub(super) async fn connect(place: &NatsPlace, name: &str, ended: CancellationToken) -> anyhow::Result<Client> {
    let scheme = if place.tls { "tls" } else { "nats" };
    // Without the login: such addresses are logged.
    let brokers: Vec<ServerAddr> = place
        .brokers
        .iter()
        .map(|broker| format!("{scheme}://{broker}").parse())
        .collect::<Result<_, _>>()?;
    let options = options(place, brokers.len())
        .await?
        .name(format!("fastchat server {name}"))
        .event_callback(move |event| {
            // The rest says nothing that our own heartbeats don't say.
            if matches!(event, Event::Disconnected | Event::Closed) {
                ended.cancel();
            }
            std::future::ready(())
        });
    timeout(CONNECT_TIME_MAX * 2, options.connect(brokers))
        .await
        .context("the broker does not answer")?
        .map_err(|error| {
            let advice = advice(&error, place);
            anyhow::Error::new(error).context(advice)
        })
}

async fn options(place: &NatsPlace, brokers: usize) -> anyhow::Result<ConnectOptions> {
    let mut options = ConnectOptions::new()
        .connection_timeout(CONNECT_TIME_MAX)
        .ping_interval(LINK_SILENCE)
        .subscription_capacity(UNREAD_MAX)
        .client_capacity(UNWRITTEN_MAX)
        // A broker that others name could be dialled in the clear, with the login.
        .require_tls(place.tls)
        .ignore_discovered_servers()
        // Each broker once; the rest is ours, with new links.
        .max_reconnects(brokers)
        .reconnect_delay_callback(|_| Duration::ZERO);
    match &place.login {
        Some(NatsLogin::User(user, password)) => options = options.user_and_password(user.clone(), password.expose().to_owned()),
        Some(NatsLogin::Token(token)) => options = options.token(token.expose().to_owned()),
        None => {}
    }
    if let Some(file) = &place.credentials {
        let read = options.credentials_file(file).await;
        options = read.with_context(|| format!("can't read the credentials {file} that --bus names: it must be a .creds file, a user's JWT and seed, that this process may read"))?;
    }
    if let Some(file) = &place.ca {
        options = options.add_root_certificates(file.into());
    }
    Ok(options)
}

/// Sends what waits and the heartbeats until the connection fails.
async fn write(bus: &Nats, client: &Client) -> anyhow::Error {
    let all = bus.subject_of_all();
    let mut due = Instant::now();
    loop {
        let (packed, beat) = {
            let mut state = bus.state();
            let packed = state.queue.pack();
            let now = Instant::now();
            let is_due = std::mem::take(&mut state.beat) || now >= due;
            if is_due {
                due = now + HEARTBEAT;
            }
            (packed, is_due.then(|| state.heartbeat(now)))
        };
        if packed.is_empty() && beat.is_none() {
            tokio::select! {
                () = bus.work.notified() => {}
                () = sleep_until(due) => {}
            }
            continue;
        }
        for Packed { to, body } in packed {
            let subject = match &to {
                To::One { server, .. } => bus.subject_of(server),
                To::All => all.clone(),
            };
            if let Err(error) = publish(bus, client, subject, &body).await {
                return error;
            }
        }
        if let Some(beat) = beat
            && let Err(error) = publish(bus, client, all.clone(), &beat).await
        {
            return error;
        }
    }
}

async fn publish(bus: &Nats, client: &Client, subject: String, body: &Body) -> anyhow::Result<()> {
    let payload = bus.sealer.seal(&bus.name, bus.incarnation, body);
    let bytes = payload.len();
    match client.publish(subject, payload).await {
        Ok(()) => bus.metrics.bytes_out.inc_by(bytes as u64),
        Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
            // Its numbers are missing at the receiver, which looks into the log.
            bus.metrics.messages_dropped.inc();
            tracing::warn!(bytes, "a bus message is too long for the broker: raise its max_payload");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Takes what comes until the connection is silent.
async fn read(bus: &Nats, mut all: Subscriber, mut own: Subscriber) -> anyhow::Error {
    // Taken from our subject since something was taken from that of all.
    let mut streak = 0;
    let mut due = Instant::now() + HEARTBEAT;
    let mut echo_at = Instant::now();
    loop {
        if streak >= STREAK_MAX {
            streak = 0;
            let echo = match all.next().now_or_never() {
                Some(Some(message)) => take(bus, message.payload).await,
                Some(None) => return subscription_ended(),
                None => false,
            };
            if echo {
                echo_at = Instant::now();
            }
        }
        tokio::select! {
            biased;
            () = sleep_until(due) => {
                let now = Instant::now();
                // What nobody read for so long may well have come.
                let late = now.duration_since(due);
                echo_at += late;
                due = now + HEARTBEAT;
                {
                    let mut state = bus.state();
                    state.table.paused(late);
                    let events = state.table.expire(now);
                    state.untold.extend(events);
                }
                bus.tell().await;
                if now.duration_since(echo_at) > ECHO_SILENCE {
                    return anyhow!("nothing comes back through the broker");
                }
            }
            () = bus.news.notified() => bus.tell().await,
            message = own.next() => {
                streak += 1;
                let Some(message) = message else { return subscription_ended() };
                take(bus, message.payload).await;
            }
            message = all.next() => {
                bus.state().table.drained();
                streak = 0;
                let Some(message) = message else { return subscription_ended() };
                if take(bus, message.payload).await {
                    echo_at = Instant::now();
                }
            }
        }
    }
}

fn subscription_ended() -> anyhow::Error {
    anyhow!("the broker ended the subscriptions")
}

/// Takes one payload; true where it is our own heartbeat.
async fn take(bus: &Nats, payload: Bytes) -> bool {
    bus.metrics.bytes_in.inc_by(payload.len() as u64);
    let envelope = match bus.sealer.open(payload) {
        Ok(envelope) => envelope,
        Err(wrong) => {
            refuse(bus, wrong);
            return false;
        }
    };
    let Envelope { from, incarnation, body } = envelope;
    if from == bus.name {
        if incarnation != bus.incarnation {
            tracing::debug!("heard of another life under this name");
        }
        return incarnation == bus.incarnation;
    }
    let messages = match &body {
        Body::Beat { .. } => Vec::new(),
        Body::Run { frames, .. } => match decode(frames) {
            Ok(messages) => messages,
            Err(error) => {
                tracing::warn!(peer = from, error, "a bus message can't be read");
                bus.metrics.refuse(Refused::Malformed);
                return false;
            }
        },
    };
    let (take, beat, news) = {
        let mut state = bus.state();
        let heard = state.table.hear(&from, incarnation, &body, messages.len() as u64, Instant::now());
        state.beat |= heard.beat;
        if heard.stale {
            bus.metrics.refuse(Refused::Stale);
        }
        if heard.lost > 0 {
            bus.metrics.messages_lost.inc_by(heard.lost);
            tracing::warn!(peer = from, lost = heard.lost, "bus messages were lost");
        }
        let news = !heard.events.is_empty();
        state.untold.extend(heard.events);
        (heard.take, heard.beat, news)
    };
    if beat {
        bus.work.notify_one();
    }
    if news {
        bus.tell().await;
    }
    if take {
        bus.metrics.messages_in.inc_by(messages.len() as u64);
        for message in messages {
            // The receiver ends with the server; then there is nobody to tell.
            let _ = bus.events.send(BusEvent::Message(from.clone(), message)).await;
        }
    }
    false
}

fn refuse(bus: &Nats, wrong: Wrong) {
    let reason = match wrong {
        Wrong::Version => Refused::Version,
        Wrong::Tag => Refused::Key,
        Wrong::Form => Refused::Malformed,
    };
    bus.metrics.refuse(reason);
    // Whoever may write there may write often.
    tracing::debug!(reason = reason.as_str(), "something on the broker was refused");
}

fn decode(frames: &[u8]) -> Result<Vec<Message>, String> {
    let mut deframer = Deframer::new(FrameLimits::DEFAULT);
    deframer.push(frames);
    let mut messages = Vec::new();
    while let Some(frame) = deframer.next().map_err(|error| error.to_string())? {
        messages.push(Message::decode(&frame)?);
    }
    if deframer.is_mid_frame() {
        return Err("it ends in a frame".to_owned());
    }
    Ok(messages)
}
