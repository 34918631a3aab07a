//! `fastchatd`: FastChat's data plane, one binary with three roles.
//!
//! ```text
//!  main ── config ──> shell (control link, probes, signals, lock file)
//!                       └─ runs one of   server │ balancer │ agent
//! ```
//!
//! A role gets a [`shell::Shell`]: the newest spec to follow, a place to report
//! what it is, and a token that says when to end. It knows nothing of where the
//! spec comes from.

mod agent;
mod balancer;
mod fleet_key;
mod metrics;
mod probes;
mod server;
mod shell;
mod store;
mod ticket;

fn main() {}
