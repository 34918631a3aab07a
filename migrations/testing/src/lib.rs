//! PostgreSQL for tests: a server that the tests start, and a database for each of them.
//!
//! ```text
//!  TestDatabase::empty()      a new database of the run's server
//!  TestDatabase::migrated()   the same with the schema, from a template
//!  Server::start()            a server of its own, to be killed and started again
//!  Server::start_with_certificate()   the same with TLS
//!  version()                  of PostgreSQL, for who measures it
//! ```
//!
//! A run's tests are many processes; all share one server, for `initdb` takes
//! longer than most tests. Whoever comes first starts it. Each process holds a
//! shared lock on a file of its folder, and a watchdog that was started with the
//! server ends it, and removes the folder, once nobody does.
//!
//! A missing PostgreSQL is a failure, never a test that is skipped.

#![expect(clippy::expect_used, clippy::panic, reason = "only tests use this: its panic is their failure")]

mod database;
mod programs;
mod server;

pub use database::TestDatabase;
pub use programs::version;
pub use server::Server;
