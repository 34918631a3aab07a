//! Taking connections: the handshake, within its time, and what came of it.

use crate::{
    Protocol,
    error::TlsError,
    identity::{Identity, Loaded},
    stream::Stream,
    watched::Watched,
};
use socket2::SockRef;
use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, TlsStream};

/// First byte of every TLS connection; no FastChat frame or HTTP request of a stranger begins with it.
const HANDSHAKE_RECORD: u8 = 0x16;

/// Bytes that the system takes of what is to be sent, beyond what is on its way: who does not read leaves the rest
/// with us, where it is counted and bounded. Without it the system would take some MiB for each connection.
const UNSENT_BYTES_MAX: u32 = 128 << 10;

/// How a listener takes its peers. Clones share what was read.
#[derive(Debug, Clone, Default)]
pub struct Acceptor(Option<Arc<Watched<Loaded>>>);

/// Why a peer was not taken.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeFailure {
    /// It does not speak TLS; it may be told so on its socket.
    #[error("the peer does not speak TLS")]
    Plain(TcpStream),
    /// It took too long.
    #[error("the TLS handshake took longer than it may")]
    Slow,
    /// It went away.
    #[error("the peer went away during the TLS handshake")]
    Gone,
    /// It does not want us: it trusts another CA, knows another name, finds our certificate expired.
    #[error("the peer refuses this certificate ({0}); does it have the fleet's CA and name?")]
    Refuses(io::Error),
    /// It speaks TLS that we don't: older than 1.3, for another protocol, or broken.
    #[error("the TLS handshake failed ({0})")]
    Unfit(io::Error),
}

/// The values of [`HandshakeFailure::label`].
pub const HANDSHAKE_FAILURES: [&str; 5] = ["plain", "slow", "gone", "refuses", "unfit"];

impl HandshakeFailure {
    /// Its label on a metric.
    #[must_use]
    pub fn label(&self) -> &'static str {
        let [plain, slow, gone, refuses, unfit] = HANDSHAKE_FAILURES;
        match self {
            Self::Plain(_) => plain,
            Self::Slow => slow,
            Self::Gone => gone,
            Self::Refuses(_) => refuses,
            Self::Unfit(_) => unfit,
        }
    }
}

impl Acceptor {
    /// Takes connections in the clear.
    #[must_use]
    pub fn plain() -> Self {
        Self(None)
    }

    /// Takes TLS 1.3, with a certificate that is read again when its files change.
    ///
    /// # Errors
    /// Certificate or key can't be used.
    pub fn tls(identity: Identity, protocol: Protocol) -> Result<Self, TlsError> {
        let paths = vec![identity.certificate.clone(), identity.key.clone()];
        let watched = Watched::new("certificate", paths, move || identity.load(protocol))?;
        Ok(Self(Some(Arc::new(watched))))
    }

    /// True where connections are TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.is_some()
    }

    /// When the certificate ends, in seconds since 1970; has the files looked at.
    #[must_use]
    pub fn expires_at_s(&self) -> Option<u64> {
        let since = |end: SystemTime| end.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.0.as_ref()?.newest().not_after.map(|end| since(end).as_secs())
    }

    /// Takes over an accepted socket, with `TCP_NODELAY` and few unsent bytes in the system's buffer. Safe to cancel:
    /// the socket is closed.
    ///
    /// # Errors
    /// There is no TLS connection `within` that time.
    pub async fn accept(&self, socket: TcpStream, within: Duration) -> Result<Stream, HandshakeFailure> {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "a socket without TCP_NODELAY");
        }
        if let Err(error) = SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_BYTES_MAX) {
            tracing::debug!(%error, "a socket without TCP_NOTSENT_LOWAT");
        }
        let Some(watched) = &self.0 else {
            return Ok(Stream::Plain(socket));
        };
        let config = Arc::clone(&watched.newest().config);
        // In a place of its own: a plain connection's future need not be as large.
        let handshake = Box::pin(async move {
            let mut first = [0];
            match socket.peek(&mut first).await {
                Ok(0) | Err(_) => return Err(HandshakeFailure::Gone),
                Ok(_) if first != [HANDSHAKE_RECORD] => return Err(HandshakeFailure::Plain(socket)),
                Ok(_) => {}
            }
            let session = TlsAcceptor::from(config).accept(socket).await.map_err(failure)?;
            Ok(Stream::Tls(Box::new(TlsStream::Server(session))))
        });
        timeout(within, handshake).await.unwrap_or(Err(HandshakeFailure::Slow))
    }
}

fn failure(error: io::Error) -> HandshakeFailure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(_)) => HandshakeFailure::Refuses(error),
        Some(_) => HandshakeFailure::Unfit(error),
        None => HandshakeFailure::Gone,
    }
}
