//! The server–balancer link by verb (PROTOCOL.md §9).

pub mod attach;
pub mod load;
pub mod reserved;
