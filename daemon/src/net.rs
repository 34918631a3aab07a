//! Sockets: reading frames under deadlines, and queues of what to send.

pub(crate) mod door;
pub(crate) mod farewell;
pub(crate) mod outbox;
pub(crate) mod reader;
mod refusals;
pub(crate) mod scratch;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod transport;
