//! From pushes, fetched pages and own acknowledgements, in whatever order and
//! however often they come, to each entry of each log once and in order. Pure.
//!
//! ```text
//!  push ────────────┐                      ┌─> Step::Entry   (cursor + 1, each once)
//!  own append ──────┼─> Log: cursor, held ─┤
//!  page of a fetch ─┘      │               └─> Step::Gap     (never to be had by this reader)
//!                          └ bell > cursor ──> fetch after the cursor
//! ```
//!
//! The cursor moves by what is handed to the consumer. What the consumer has
//! *processed* is its own to keep ([`crate::Journal`]): after a crash the
//! entries in between come again.

mod log;
mod logs;

pub use log::{Log, Step};
pub(crate) use logs::Logs;
