//! The client's side of the FastChat protocol: the network half.
//!
//! ```text
//!  your program ── Session::next ──< entries of every log, each once, in order
//!       │              │
//!       │  Outbox ─────┤  assign ─> balancer ─> wait-ms ─> dial ─> hello ─> resume ─> live
//!       │  Journal ────┘     ^                                                        │
//!       │                    └── loss: backoff   ·   move: connect first, then close ─┘
//!       └── chat::* (one function for each verb) over a Connection
//! ```
//!
//! A [`Session`] is what most programs want: it lives as long as the program
//! does and survives servers, networks and restarts. Below it, [`enter`] gives
//! one [`Connection`] to a server, and [`chat`] has one typed function for each
//! verb of `protocol/PROTOCOL.md`, under the verb's name.
//!
//! Signing in is an errand of its own; what it gives goes into the journal:
//!
//! ```no_run
//! # use fastchat_client::*;
//! # use fastchat_wire::{Secret32, chat::login::{Login, Method}};
//! # use std::sync::Arc;
//! # async fn sign_in(auth: Secret32, journal: Arc<dyn Journal>, outbox: Arc<dyn Outbox>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let config = Config::new("127.0.0.1:7101")?;
//! let entered = enter(&config, Errand::default()).await?;
//! let login = Login { username: "bob".parse()?, auth, method: Method::Password, device: None, device_name: None };
//! let (signed_in, _keyring) = chat::login(&entered.connection, &login).await?;
//! journal.save_token(&signed_in.token)?;
//! let mut session = Session::start(config, journal, outbox);
//! # Ok(()) }
//! ```
//!
//! Blocks are opaque bytes here: what is sealed in them is the business of the
//! layer above. What must outlast the program (token, cursors, entries that
//! wait to be sent) the caller keeps, behind [`Journal`] and [`Outbox`].
//!
//! Nothing here grows with what a server sends: queues, collected answers,
//! waits and pages have bounds ([`limits`]), and beyond them entries are
//! fetched again later, or the connection ends with a typed reason.

pub mod account;
pub mod address;
pub mod chat;
mod clock;
pub mod config;
pub mod connection;
pub mod dial;
mod enter;
pub mod entry;
pub mod error;
pub mod event;
mod fault;
mod ids;
pub mod journal;
pub mod limits;
pub mod messenger;
pub mod outbox;
pub mod picture;
pub mod problem;
pub mod profile;
pub mod record;
pub mod session;
pub mod sync;
pub mod transfer;

pub use address::Address;
pub use config::{Config, Timing};
pub use connection::{Awaited, Closed, Connection, Reply};
pub use enter::{Entered, Errand, enter};
pub use entry::Entry;
pub use error::{Error, Failure, Refused, Unkept};
pub use event::Event;
pub use journal::{Journal, Lease, MemoryJournal, Saved, StorageError};
pub use outbox::{MemoryOutbox, Outbox, Outgoing, Settlement};
pub use session::{Ended, Session, SessionEvent};
