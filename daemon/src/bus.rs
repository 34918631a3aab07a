//! The bus between the servers: doorbells and presence, nothing that must not be lost.
//!
//! Every link carries an incarnation, a count of what was sent on it, and a
//! heartbeat; what is lost shows as a gap, and the receiver mends it from the
//! log ([`BusEvent::Gap`]).

pub(crate) mod mesh;
pub(crate) mod message;

pub(crate) use message::Message;

/// Sends to other servers. Never waits: what does not fit into a peer's queue
/// is dropped and counted, and shows there as a gap.
pub(crate) trait Bus: Send + Sync {
    /// To one server; nothing where there is no link to it.
    fn send(&self, server: &str, message: &Message);

    /// To every server that there is a link to.
    fn broadcast(&self, message: &Message);
}

/// What the bus tells.
#[derive(Debug)]
pub(crate) enum BusEvent {
    /// That server receives from us from now on, on the link of that number.
    Listening(String, u64),
    /// On that link it receives no more; there may be another by now.
    Deaf(String, u64),
    /// We receive from that server from now on; what it sent before is unknown.
    Hears(String),
    /// We receive from it no more.
    Silent(String),
    /// Something that it sent was lost.
    Gap(String),
    /// It sent this.
    Message(String, Message),
}
