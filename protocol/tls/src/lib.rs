//! How FastChat's processes protect their connections (PROTOCOL.md §10).
//!
//! ```text
//!  accepted socket ── Acceptor ──┐                       certificate and key from files,
//!                                ├──> Stream: plain, or   read again when they change
//!  dialled socket ─── Connector ─┘    TLS 1.3             roots: a file, or the system's
//! ```
//!
//! TLS 1.3 and nothing older, by rustls on *ring*. Peers of a fleet prove who they
//! are by tokens inside of the connection, so no client has a certificate. There
//! are no session tickets: they would cost memory for each connection, and a
//! handshake costs less than a sign-in.
//!
//! A certificate carries the fleet's *name*, and that is what a dialler verifies;
//! the address only says where to dial.

mod acceptor;
mod connector;
mod error;
mod identity;
mod plain;
mod stream;
mod validity;
mod watched;

pub use acceptor::{Acceptor, HANDSHAKE_FAILURES, HandshakeFailure};
pub use connector::{ConnectError, Connector, Roots, server_name};
pub use error::TlsError;
pub use identity::Identity;
pub use plain::{is_loopback_host, may_be_plain};
pub use rustls::{ClientConfig, pki_types::ServerName};
pub use stream::{ReadHalf, Stream, WriteHalf};

use rustls::crypto::CryptoProvider;
use std::sync::Arc;

/// What is spoken inside: a peer that offers something else only is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// FastChat's frames.
    FastChat,
    /// The control plane's REST.
    Http,
}

impl Protocol {
    /// Its name in ALPN.
    #[must_use]
    pub fn alpn(self) -> &'static [u8] {
        match self {
            Self::FastChat => b"fastchat/1",
            Self::Http => b"http/1.1",
        }
    }
}

/// Makes *ring* what libraries take that aren't told; once, at a process's start.
pub fn install_provider() {
    // It fails where one is installed already, and nobody here installs another.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
