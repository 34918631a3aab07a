//! Conversations of real devices: real mls-rs, real sealed stores, a server of 100 lines that keeps logs.

#![expect(clippy::unwrap_used, reason = "a test's devices and server fail loudly")]

mod chat;
mod conflicts;
mod crash;
mod external;
mod heads;
mod hostile;
mod large;
mod signals;
mod size;
mod spoiler;
mod stranded;
mod world;
