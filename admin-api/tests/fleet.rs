//! A whole fleet: real processes, real sockets, started as a user starts it.
//!
//! Each test has a fleet of its own on ports of its own. The binaries are those
//! that `cargo build --workspace --bins --examples` left beside this test's.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test's panic is its failure"
)]

mod fleet {
    pub(crate) mod client;
    pub(crate) mod generator;
    pub(crate) mod harness;
    pub(crate) mod rest;
    pub(crate) mod user;

    mod bad_frames;
    mod bad_sessions;
    mod bad_writes;
    pub(crate) mod chaos;
    mod delivery;
    mod example;
    mod journey;
    mod library;
    mod load;
    mod nats;
    mod observability;
    mod outage;
    mod people;
    mod postgres;
    mod restarts;
    mod secrets;
    mod start;
    mod steering;
    mod storms;
    mod strategy;
    mod tls;
}
