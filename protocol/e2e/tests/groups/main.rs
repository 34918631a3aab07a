//! Conversations of real devices: real mls-rs, real sealed stores, a server of 100 lines that keeps logs.

mod chat;
mod conflicts;
mod crash;
mod heads;
mod hostile;
mod large;
mod world;
