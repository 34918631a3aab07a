//! `fastchatd` as its users meet it: real processes, signals, ports and folders.

#![expect(clippy::unwrap_used, reason = "tests")]

mod agent;
mod fleet;
mod simulate;
mod start_up;
