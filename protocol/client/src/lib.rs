//! A FastChat client as a library: for programs that people chat with, and for bots.
//!
//! It has two halves. The upper one is a device: what it sends is sealed, what
//! it reads was opened, and all of it stands in a profile on disk. The lower
//! one is the network, to which what is sealed is opaque.
//!
//! ```text
//!  your program
//!    │ next, send, answer, add …
//!  Messenger ── Profile      keys, groups, history, what is still to be done: one sealed store
//!    │            │ is the session's journal and outbox
//!  Session ───────┘          assign ─> wait ─> dial ─> hello ─> resume ─> live
//!    │                         ^ loss: backoff   ·   move: connect first, then close
//!  chat::* over a Connection one function for each verb
//! ```
//!
//! # A bot
//!
//! [`messenger::Messenger`] is what most programs want. This is a whole one,
//! `examples/echo_bot.rs`; the program `fastchat` registers its account:
//!
//! ```no_run
#![doc = include_str!("../examples/echo_bot.rs")]
//! ```
//!
//! [`answer`](messenger::Messenger::answer) keeps the answer and marks the
//! record as shown in one step: a bot that is killed between two lines answers
//! each text once. [`profile::Profile::shown`] is where it goes on.
//!
//! Beside the messenger there are [`account`] (register, sign in, sign out),
//! [`record`] (what happened, as people read it), [`receipt`] (what came back
//! from the archive), [`picture`] (images without what a camera wrote into
//! them), [`trust`] (who is believed to be who they say, and what stops a
//! conversation) and [`problem`] (what went wrong, with a
//! code and what to do).
//!
//! # The network alone
//!
//! A [`Session`] lives as long as the program does and survives servers,
//! networks and restarts: it hands out the entries of every log, each once and
//! in order. What must outlast the program (token, cursors, entries that wait
//! to be sent) the caller keeps, behind [`Journal`] and [`Outbox`]. Below it,
//! [`enter`] gives one [`Connection`] to a server, and [`chat`] has one typed
//! function for each verb of `protocol/PROTOCOL.md`, under the verb's name.
//! Signing in is an errand of its own; what it gives goes into the journal:
//!
//! ```no_run
//! # use fastchat_client::*;
//! # use fastchat_wire::{Secret32, chat::login::{Login, Method}};
//! # use std::sync::Arc;
//! # async fn sign_in(auth: Secret32, journal: Arc<dyn Journal>, outbox: Arc<dyn Outbox>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let config = Config::new("127.0.0.1:7101")?;
//! let entered = enter(&config, Errand::default()).await?;
//! let login = Login { username: "bob".parse()?, auth, method: Method::Password, device: None, new_device: None, device_name: None };
//! let (signed_in, _keyring) = chat::login(&entered.connection, &login).await?;
//! journal.save_token(&signed_in.token)?;
//! let mut session = Session::start(config, journal, outbox);
//! # Ok(()) }
//! ```
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
pub mod receipt;
pub mod record;
pub mod session;
pub mod sync;
pub mod tls;
pub mod transfer;
pub mod trust;
mod waits;

pub use address::Address;
pub use config::{Config, Timing};
pub use connection::{Awaited, Closed, Connection, Reply};
pub use enter::{Entered, Errand, enter};
pub use entry::Entry;
pub use error::{Error, Failure, Refused, Unkept};
pub use event::Event;
pub use fault::Fault;
pub use journal::{Journal, Lease, MemoryJournal, Saved, StorageError};
pub use outbox::{MemoryOutbox, Outbox, Outgoing, Settlement};
pub use session::{Ended, Session, SessionEvent};
pub use tls::Tls;
pub use waits::Waits;
