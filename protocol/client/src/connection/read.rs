//! The reading half: frames to whom they belong.

use super::{Closed, Shared, reply::refusal};
use crate::event::Event;
use fastchat_wire::{Deframer, EventName, Frame, FrameLimits, Kind, limits::FRAME_MS_MAX};
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncReadExt, ReadHalf},
    time::{Instant, sleep_until},
};

/// Room for so many bytes before each read.
const READ_BYTES: usize = 16 << 10;

/// Reads until the connection is over.
pub(super) async fn run<S: AsyncRead>(shared: &Shared, mut socket: ReadHalf<S>) -> Closed {
    let mut deframer = Deframer::new(FrameLimits::DEFAULT);
    let mut interval = shared.ping_interval.subscribe();
    let mut frame_began = None;
    let mut heard = Instant::now();
    loop {
        loop {
            match deframer.next() {
                Ok(Some(frame)) => {
                    frame_began = None;
                    if let Err(closed) = hand_out(shared, frame) {
                        return closed;
                    }
                }
                Ok(None) => break,
                Err(error) => return Closed::Misbehaved(error.message),
            }
        }
        deframer.buffer_mut().reserve(READ_BYTES);
        let mut deadline = heard + *interval.borrow_and_update() * 2;
        if deframer.is_mid_frame() {
            deadline = deadline.min(*frame_began.get_or_insert(heard) + Duration::from_millis(FRAME_MS_MAX));
        }
        tokio::select! {
            read = socket.read_buf(deframer.buffer_mut()) => match read {
                Ok(0) => return Closed::There,
                Ok(_) => heard = Instant::now(),
                Err(error) => return Closed::Failed(error.to_string()),
            },
            () = sleep_until(deadline) => return Closed::Silent,
            // Another interval, another deadline.
            Ok(()) = interval.changed() => {}
        }
    }
}

fn hand_out(shared: &Shared, frame: Frame) -> Result<(), Closed> {
    match frame.head.kind {
        Kind::Response { re: Some(id), .. } => shared.pending.answer(id, frame),
        Kind::Response { re: None, failed: true } => {
            let said = refusal(&frame).map_err(|failure| Closed::Misbehaved(failure.to_string()))?;
            return Err(Closed::Told(said));
        }
        Kind::Event { name, re: Some(id) } => {
            if name == Some(EventName::Entry) {
                shared.pending.collect(id, &frame).map_err(Closed::Misbehaved)?;
            }
        }
        Kind::Event { name, re: None } => {
            if let Some(event) = Event::read(name, &frame).map_err(Closed::Misbehaved)? {
                shared.events.push(event);
            }
        }
        // An answer to nobody's request, and a server that asks: neither means anything.
        Kind::Response { re: None, failed: false } | Kind::Request { .. } => {}
    }
    Ok(())
}
