//! What tests of FastChat's fleet start beside it.
//!
//! ```text
//!  NatsServer::start()              a broker of its own, on a port of its own
//!  NatsServer::start_with(TEXT)     the same, with more in its configuration (users, TLS)
//!  NatsOperator::new()              signed logins: its configuration, and users' credentials
//!  stop() · kill() · restart()      softly, hard, and back on the same port
//! ```
//!
//! A missing NATS server is a failure, never a test that is skipped.

#![expect(clippy::expect_used, clippy::panic, reason = "only tests use this: its panic is their failure")]

mod nats;
mod operator;

pub use nats::NatsServer;
pub use operator::NatsOperator;
