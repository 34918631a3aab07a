//! Conversations under load: signed-in members, some of whom send.
//!
//! ```text
//!  Opening (sign in, create, fetch) ──> Conversation { Flow for each sender } <── seat/* (one task for each member)
//!                                          ^ window: sent, not yet stored and delivered
//!                                          ^ due: what the pacer says is to be sent
//! ```

pub(crate) mod opening;
pub(crate) mod run;
mod seat;
mod tracker;

use crate::{sends::Sends, talk::tracker::Tracker};
use fastchat_wire::LogId;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};
use tokio::sync::Notify;

/// What all members of a conversation share.
#[derive(Debug)]
struct Conversation {
    log: LogId,
    /// The log's id as it stands in headers.
    log_text: String,
    /// Tells this run's messages from others.
    run: u32,
    /// One for each sender; these are the first members.
    flows: Vec<Flow>,
    /// One for each member.
    trackers: Vec<RefCell<Tracker>>,
}

/// The messages of one sender.
#[derive(Debug, Default)]
struct Flow {
    sends: RefCell<Sends>,
    stored: Cell<u64>,
    /// Deliveries to all other members.
    delivered: Cell<u64>,
    /// Intended times of messages that are due (open loop).
    due: RefCell<VecDeque<u64>>,
    /// The sender may have something to do.
    wake: Notify,
}

impl Conversation {
    /// Members that a message goes to.
    fn receivers(&self) -> u64 {
        self.trackers.len() as u64 - 1
    }

    /// Messages of a sender that are not yet both stored and delivered to everybody.
    fn in_flight(&self, flow: &Flow) -> u64 {
        let delivered = flow.delivered.get() / self.receivers();
        flow.sends.borrow().count() - delivered.min(flow.stored.get())
    }

    /// True where everything that was sent is stored and delivered.
    fn is_settled(&self) -> bool {
        self.flows.iter().all(|flow| self.in_flight(flow) == 0)
    }

    /// Stored messages that did not reach a member.
    fn missing(&self) -> u64 {
        let mut missing = 0;
        for (member, tracker) in self.trackers.iter().enumerate() {
            for (sender, flow) in self.flows.iter().enumerate().filter(|(sender, _)| *sender != member) {
                missing += flow.stored.get().saturating_sub(tracker.borrow().received(sender));
            }
        }
        missing
    }
}
