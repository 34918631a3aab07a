//! FastChat's database: which schema it has, and how its processes share it.
//!
//! ```text
//!  wait_for_server(url)  until a PostgreSQL server that is away answers, for 30 s at most
//!  open(url)             the one of these that the URL names
//!
//!                        SQLite
//!  migrate(url)          creates the file, brings the schema up to date (control plane, `fastchatd migrate`)
//!  Database::open(url)   refuses a schema that this program doesn't know
//!     ├─ readers()       a small pool; never blocked by writers (WAL)
//!     ├─ write()         in-process queue → advisory file lock → BEGIN IMMEDIATE
//!     └─ checkpoints     a task of its own, under the same lock
//!
//!                        PostgreSQL
//!  migrate(url)          in one transaction, under an advisory lock
//!  PostgresDatabase      a bounded pool; each connection asserts synchronous_commit and bounds its waits
//!     ├─ hold()          connections held open beside it, without the pool's question on each return
//!     └─ circuit         while the database is away, calls are refused at once
//! ```
//!
//! SQLite lets one writer at a time in, and its own way of waiting is to sleep
//! and try again, which starves. So the writers of all processes on a host take
//! turns on an advisory lock of `PATH.lock` first, and whoever has it finds the
//! database free. A transaction whose future is dropped is rolled back before
//! the next one begins.

mod away;
mod checkpoint;
mod columns;
mod connect;
mod database;
mod error;
mod migrate;
mod migrations;
mod opened;
mod postgres;
mod turn;
mod url;
mod version;
mod write;

pub use away::wait_for_server;
pub use columns::Columns;
pub use database::Database;
pub use error::{DatabaseError, OpenError};
pub use migrate::{Migrated, migrate};
pub use migrations::{MIGRATIONS, Migration, known_version};
pub use opened::{Opened, open};
pub use postgres::{HeldConnection, HeldConnections, PostgresDatabase};
pub use url::shown;
pub use write::WriteTransaction;
