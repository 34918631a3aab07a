//! Which peers hear us and are heard, and what was lost. Pure: envelopes and time in, events out.
//!
//! ```text
//!             its heartbeat, or a message to us,
//!             names our incarnation: a proof that it hears us
//!   ┌──────┐ ────────────────────────────────────────────────> ┌────┐
//!   │ down │                                                   │ up │ our link has a number;
//!   └──────┘ <──────────────────────────────────────────────── └────┘ messages to it are counted
//!             no proof for LINK_SILENCE; the broker is away;
//!             the peer has started again, or left the spec
//! ```
//!
//! A heartbeat lists the peers that were heard of lately, each with its
//! incarnation: whoever finds its own there knows that both ways are open, and
//! that the sender is no echo of an earlier life. Both sides number their
//! links; a new number of the other side's says that it had lost us.
//!
//! Messages to one server and those to all come in two orders: each has its own
//! count. What a heartbeat counts may still wait on the other subject, so a loss
//! among messages to one is called so at a later heartbeat, once nothing waited.

use super::envelope::{Body, Of, To};
use crate::bus::{BusEvent, LINK_SILENCE};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// A server whose clock went back is a stranger until its former life is forgotten.
const FORGET: Duration = Duration::from_secs(60);

/// The peers of one server.
#[derive(Debug)]
pub(super) struct Table {
    name: String,
    incarnation: u64,
    /// Those of the spec.
    peers: HashMap<Arc<str>, Peer>,
    /// Messages to all so far.
    broadcasts: u64,
    links: u64,
    beats: u64,
    /// Times that no message to us waited.
    drains: u64,
}

#[derive(Debug, Default)]
struct Peer {
    theirs: Option<Theirs>,
    up: Option<Up>,
}

/// What was heard of a peer's present life.
#[derive(Debug)]
struct Theirs {
    incarnation: u64,
    seen_at: Instant,
    /// Its last heartbeat.
    beat: u64,
    /// Its link to us; 0 before it has one.
    link: u64,
    /// The last message on that link.
    received: u64,
    /// What its last heartbeat counted there.
    claimed: u64,
    /// And when that was, in drains.
    claimed_at: u64,
    /// The last message to all.
    broadcasts: u64,
}

/// Our link to a peer.
#[derive(Debug)]
struct Up {
    link: u64,
    sent: u64,
    proof_at: Instant,
}

/// What follows from an envelope.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Heard {
    /// What to tell, in order; before the messages.
    pub(super) events: Vec<BusEvent>,
    /// Its messages are to be handed on.
    pub(super) take: bool,
    /// Messages that never came.
    pub(super) lost: u64,
    /// It was an echo of what has passed.
    pub(super) stale: bool,
    /// Someone is new: the next heartbeat is due now.
    pub(super) beat: bool,
}

impl Table {
    /// Nobody heard of yet.
    pub(super) fn new(name: String, incarnation: u64) -> Self {
        Self {
            name,
            incarnation,
            peers: HashMap::new(),
            broadcasts: 0,
            links: 0,
            beats: 0,
            drains: 0,
        }
    }

    /// No message to us waits to be heard.
    pub(super) fn drained(&mut self) {
        self.drains += 1;
    }

    /// These are the peers; answers who left, with the events.
    pub(super) fn set_peers<'a>(&mut self, names: impl Iterator<Item = &'a str>) -> (Vec<Arc<str>>, Vec<BusEvent>) {
        let names: Vec<&str> = names.filter(|name| *name != self.name).collect();
        let gone: Vec<Arc<str>> = self.peers.keys().filter(|name| !names.contains(&&***name)).cloned().collect();
        let mut events = Vec::new();
        for name in &gone {
            if let Some(mut peer) = self.peers.remove(name) {
                peer.down(name, &mut events);
            }
        }
        for name in names {
            if !self.peers.contains_key(name) {
                self.peers.insert(name.into(), Peer::default());
            }
        }
        (gone, events)
    }

    /// Peers, and whether each is up.
    pub(super) fn states(&self) -> impl Iterator<Item = (&str, bool)> {
        self.peers.iter().map(|(name, peer)| (&**name, peer.up.is_some()))
    }

    /// True where all peers are up.
    pub(super) fn is_whole(&self) -> bool {
        self.peers.values().all(|peer| peer.up.is_some())
    }

    /// True where one is.
    pub(super) fn has_listeners(&self) -> bool {
        self.peers.values().any(|peer| peer.up.is_some())
    }

    /// A message is to be sent to one server: whom to address it to, and its number. `None` without a link.
    pub(super) fn number_one(&mut self, server: &str) -> Option<(To, u64)> {
        let (name, _) = self.peers.get_key_value(server)?;
        let server = Arc::clone(name);
        let peer = self.peers.get_mut(&server)?;
        let (theirs, up) = (peer.theirs.as_ref()?, peer.up.as_mut()?);
        up.sent += 1;
        let to = To::One {
            server,
            incarnation: theirs.incarnation,
            link: up.link,
        };
        Some((to, up.sent))
    }

    /// A message is to be sent to all: its number.
    pub(super) fn number_all(&mut self) -> u64 {
        self.broadcasts += 1;
        self.broadcasts
    }

    /// Messages to all so far.
    pub(super) fn broadcasts(&self) -> u64 {
        self.broadcasts
    }

    /// The heartbeat that is due.
    pub(super) fn beat(&mut self, now: Instant) -> Body {
        self.beats += 1;
        let lately = |theirs: &&Theirs| now.duration_since(theirs.seen_at) <= LINK_SILENCE;
        let peers = self.peers.iter().filter_map(|(name, peer)| {
            let theirs = peer.theirs.as_ref().filter(lately)?;
            let (link, sent) = peer.up.as_ref().map_or((0, 0), |up| (up.link, up.sent));
            Some(Of {
                peer: Arc::clone(name),
                incarnation: theirs.incarnation,
                link,
                sent,
            })
        });
        Body::Beat {
            number: self.beats,
            broadcasts: self.broadcasts,
            peers: peers.collect(),
        }
    }

    /// Links without a proof for too long are down.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<BusEvent> {
        let mut events = Vec::new();
        for (name, peer) in &mut self.peers {
            if peer.up.as_ref().is_some_and(|up| now.duration_since(up.proof_at) > LINK_SILENCE) {
                peer.down(name, &mut events);
            }
        }
        events
    }

    /// For so long nothing could be read: nobody is silent for that.
    pub(super) fn paused(&mut self, for_so_long: Duration) {
        for peer in self.peers.values_mut() {
            if let Some(up) = &mut peer.up {
                up.proof_at += for_so_long;
            }
            if let Some(theirs) = &mut peer.theirs {
                theirs.seen_at += for_so_long;
            }
        }
    }

    /// The broker is away: all links are down.
    pub(super) fn disconnect(&mut self) -> Vec<BusEvent> {
        let mut events = Vec::new();
        for (name, peer) in &mut self.peers {
            peer.down(name, &mut events);
        }
        events
    }

    /// Something came, of that many messages, from whoever has the fleet's key.
    pub(super) fn hear(&mut self, from: &str, incarnation: u64, body: &Body, messages: u64, now: Instant) -> Heard {
        let mut heard = Heard::default();
        let Some(peer) = self.peers.get_mut(from) else {
            return heard;
        };
        if !peer.is_present_life(from, incarnation, now, &mut heard) {
            heard.stale = true;
            return heard;
        }
        match body {
            Body::Beat { number, broadcasts, peers } => {
                let us = peers.iter().find(|of| *of.peer == *self.name && of.incarnation == self.incarnation);
                peer.beat(from, (*number, *broadcasts, us), self.drains, &mut self.links, now, &mut heard);
            }
            Body::Run {
                to: To::One { server, incarnation, link },
                first,
                broadcasts,
                ..
            } => {
                if **server != *self.name || *incarnation != self.incarnation {
                    heard.stale = true;
                    return heard;
                }
                peer.one(from, (*link, *first, *broadcasts, messages), &mut self.links, now, &mut heard);
            }
            Body::Run { to: To::All, first, .. } => peer.all(from, *first, messages, &mut heard),
        }
        heard
    }
}

impl Peer {
    fn down(&mut self, name: &str, events: &mut Vec<BusEvent>) {
        if let Some(up) = self.up.take() {
            events.push(BusEvent::Deaf(name.to_owned(), up.link));
            events.push(BusEvent::Silent(name.to_owned()));
        }
    }

    /// False where the sender has started again since.
    fn is_present_life(&mut self, name: &str, incarnation: u64, now: Instant, heard: &mut Heard) -> bool {
        if let Some(theirs) = &self.theirs {
            if theirs.incarnation == incarnation {
                return true;
            }
            let forgotten = now.duration_since(theirs.seen_at) > FORGET;
            if theirs.incarnation > incarnation && !forgotten {
                return false;
            }
        }
        self.down(name, &mut heard.events);
        heard.beat = true;
        self.theirs = Some(Theirs {
            incarnation,
            seen_at: now,
            beat: 0,
            link: 0,
            received: 0,
            claimed: 0,
            claimed_at: 0,
            broadcasts: 0,
        });
        true
    }

    /// It hears us, and its link to us has that number (0: none yet).
    fn proof(&mut self, name: &str, link: u64, links: &mut u64, now: Instant, heard: &mut Heard) {
        let Some(theirs) = &mut self.theirs else { return };
        theirs.seen_at = now;
        let known = theirs.link;
        if link > known {
            (theirs.link, theirs.received, theirs.claimed) = (link, 0, 0);
        }
        match &mut self.up {
            None => {
                *links += 1;
                self.up = Some(Up {
                    link: *links,
                    sent: 0,
                    proof_at: now,
                });
                heard.beat = true;
                heard.events.push(BusEvent::Listening(name.to_owned(), *links));
                heard.events.push(BusEvent::Hears(name.to_owned()));
                if known != 0 && link == known {
                    // It never lost us: what it told meanwhile did not come.
                    heard.events.push(BusEvent::Gap(name.to_owned()));
                }
            }
            Some(up) => {
                up.proof_at = now;
                if known != 0 && link > known {
                    // It had lost us, and did not ring meanwhile.
                    heard.events.push(BusEvent::Silent(name.to_owned()));
                    heard.events.push(BusEvent::Hears(name.to_owned()));
                }
            }
        }
    }

    fn beat(
        &mut self,
        name: &str,
        (number, broadcasts, us): (u64, u64, Option<&Of>),
        drains: u64,
        links: &mut u64,
        now: Instant,
        heard: &mut Heard,
    ) {
        let Some(theirs) = &mut self.theirs else { return };
        if number <= theirs.beat {
            heard.stale = true;
            return;
        }
        theirs.beat = number;
        // One that was away for a while is new to the others, too.
        heard.beat |= now.duration_since(theirs.seen_at) > LINK_SILENCE;
        theirs.seen_at = now;
        let was_up = self.up.is_some();
        if let Some(us) = us {
            self.proof(name, us.link, links, now, heard);
        }
        let Some(theirs) = &mut self.theirs else { return };
        let mut lost = 0;
        if was_up {
            lost += broadcasts.saturating_sub(theirs.broadcasts);
        }
        theirs.broadcasts = theirs.broadcasts.max(broadcasts);
        if let Some(us) = us.filter(|us| us.link == theirs.link && drains > theirs.claimed_at) {
            lost += theirs.claimed.saturating_sub(theirs.received);
            theirs.received = theirs.received.max(theirs.claimed);
            (theirs.claimed, theirs.claimed_at) = (us.sent, drains);
        }
        lose(name, lost, heard);
    }

    fn one(
        &mut self,
        name: &str,
        (link, first, broadcasts, messages): (u64, u64, u64, u64),
        links: &mut u64,
        now: Instant,
        heard: &mut Heard,
    ) {
        if self.theirs.as_ref().is_none_or(|theirs| link < theirs.link) {
            heard.stale = true;
            return;
        }
        let was_up = self.up.is_some();
        self.proof(name, link, links, now, heard);
        let Some(theirs) = &mut self.theirs else { return };
        if first <= theirs.received {
            heard.stale = true;
            return;
        }
        if !was_up {
            theirs.broadcasts = theirs.broadcasts.max(broadcasts);
        }
        lose(name, first - theirs.received - 1, heard);
        theirs.received = first + messages.saturating_sub(1);
        heard.take = true;
    }

    fn all(&mut self, name: &str, first: u64, messages: u64, heard: &mut Heard) {
        // What comes before the link is up is unknown anyway.
        let (Some(theirs), Some(_)) = (&mut self.theirs, &self.up) else {
            return;
        };
        if first <= theirs.broadcasts {
            heard.stale = true;
            return;
        }
        lose(name, first - theirs.broadcasts - 1, heard);
        theirs.broadcasts = first + messages.saturating_sub(1);
        heard.take = true;
    }
}

fn lose(name: &str, lost: u64, heard: &mut Heard) {
    if lost > 0 {
        heard.lost += lost;
        heard.events.push(BusEvent::Gap(name.to_owned()));
    }
}

#[cfg(test)]
mod tests;
