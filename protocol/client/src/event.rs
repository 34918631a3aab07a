//! What a server pushes over one connection.

use crate::{entry::Entry, limits::ENTRY_OVERHEAD_BYTES};
use bytes::Bytes;
use fastchat_wire::{
    EventName, Frame,
    chat::{behind::Behind, mark::MarkEvent, move_to::Move, presence::Presence, remove_device::DeviceEvent, signal::SignalEvent},
};
use serde::de::DeserializeOwned;

/// A pushed event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A log has a further entry.
    Entry(Entry),
    /// Pushes were dropped: fetch. The client's own full queue says the same.
    Behind(Behind),
    /// A member's watermarks moved.
    Mark(MarkEvent),
    /// Somebody's signal, with its block.
    Signal(SignalEvent, Bytes),
    /// A device came or went.
    Device(DeviceEvent),
    /// An account came or went.
    Presence(Presence),
    /// Go to another server.
    Move(Move),
}

impl Event {
    /// Reads a pushed event; `None` where it means nothing to a client.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(name: Option<EventName>, frame: &Frame) -> Result<Option<Self>, String> {
        Ok(Some(match name {
            Some(EventName::Entry) => Self::Entry(Entry::read(frame)?),
            Some(EventName::Behind) => Self::Behind(parse(frame)?),
            Some(EventName::Mark) => Self::Mark(parse(frame)?),
            Some(EventName::Signal) => Self::Signal(parse(frame)?, Bytes::copy_from_slice(&frame.block)),
            Some(EventName::Device) => Self::Device(parse(frame)?),
            Some(EventName::Presence) => Self::Presence(parse(frame)?),
            Some(EventName::Move) => Self::Move(parse(frame)?),
            Some(EventName::Load | EventName::Reserved) | None => return Ok(None),
        }))
    }

    /// What it counts in the bounds of queues.
    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::Entry(entry) => entry.cost(),
            Self::Signal(_, block) => block.len() + ENTRY_OVERHEAD_BYTES,
            _ => ENTRY_OVERHEAD_BYTES,
        }
    }
}

fn parse<T: DeserializeOwned>(frame: &Frame) -> Result<T, String> {
    frame.parse().map_err(|error| error.message)
}
