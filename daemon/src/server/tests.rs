//! Chat servers over real sockets on port 0, with a real mesh between them and
//! one database: what their clients notice.

mod broker;
mod bus;
mod client;
mod connections;
mod delivery;
mod fleet;
mod hints;
mod hostile;
mod limits;
mod presence;
mod proxy;
mod pushes;
mod stop;
mod tls;

use client::Client;
use fleet::Fleet;
use std::time::Duration;

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// A client that a bell did not reach has its entry by then (PROTOCOL.md leaves
/// it to the servers; a second and a busy machine's share).
const MENDED: Duration = Duration::from_millis(2_500);
