//! The control plane's listener: HTTP or HTTPS, with the handshakes beside each other.

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use fastchat_tls::{Acceptor, HANDSHAKE_FAILURES, HandshakeFailure, Stream};
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

/// A handshake takes no longer than this.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at a time; who comes then waits.
const HANDSHAKES_MAX: usize = 256;
/// After a failed accept (no descriptors left, mostly): when to try again.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// A caller that was refused may send the rest of its request for so long.
const DISCARD: Duration = Duration::from_secs(1);

/// What a caller without TLS is told.
const SPEAKS_TLS_ONLY: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/problem+json\r\n\r\n\
     {\"type\":\"about:blank\",\"title\":\"This port speaks TLS only\",\"status\":400,\"detail\":\"Call it by https://; curl: --cacert FILE, fastchat-admin: --ca FILE\"}\n";

/// What the listener counts.
#[derive(Debug, Clone)]
pub(crate) struct DoorMetrics {
    failures: IntCounterVec,
    expires: IntGauge,
}

impl DoorMetrics {
    /// Registers them, each labelled one at 0.
    ///
    /// # Errors
    /// A name is registered twice: a fault of ours.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let failures = IntCounterVec::new(
            Opts::new(
                "fastchat_admin_tls_handshake_failures_total",
                "Connections that did not become TLS, by reason",
            ),
            &["reason"],
        )?;
        let expires = IntGauge::new(
            "fastchat_admin_tls_certificate_expires_timestamp_seconds",
            "When the certificate in use expires; 0 without TLS",
        )?;
        registry.register(Box::new(failures.clone()))?;
        registry.register(Box::new(expires.clone()))?;
        for reason in HANDSHAKE_FAILURES {
            failures.with_label_values(&[reason]);
        }
        Ok(Self { failures, expires })
    }
}

/// Accepts callers.
#[derive(Debug)]
pub(crate) struct Door {
    listener: TcpListener,
    acceptor: Acceptor,
    handshakes: JoinSet<(SocketAddr, Result<Stream, HandshakeFailure>)>,
    refusals: JoinSet<()>,
    metrics: DoorMetrics,
}

/// Who calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remote(pub(crate) SocketAddr);

impl Connected<IncomingStream<'_, Door>> for Remote {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Door {
    /// On a listener; plain or TLS as the acceptor is.
    pub(crate) fn new(listener: TcpListener, acceptor: Acceptor, metrics: DoorMetrics) -> Self {
        Self {
            listener,
            acceptor,
            handshakes: JoinSet::new(),
            refusals: JoinSet::new(),
            metrics,
        }
    }

    fn refuse(&mut self, from: SocketAddr, failure: HandshakeFailure) {
        self.metrics.failures.with_label_values(&[failure.label()]).inc();
        tracing::debug!(%from, reason = failure.label(), %failure, "a connection was not taken");
        while self.refusals.try_join_next().is_some() {}
        if let HandshakeFailure::Plain(socket) = failure
            && self.refusals.len() < HANDSHAKES_MAX
        {
            self.refusals.spawn(tell(socket));
        }
    }
}

/// Tells a caller without TLS what it met.
async fn tell(mut socket: TcpStream) {
    // How the socket ends is nobody's business but the caller's.
    let _ = timeout(DISCARD, async {
        socket.write_all(SPEAKS_TLS_ONLY.as_bytes()).await?;
        socket.shutdown().await?;
        let mut waste = [0; 4 << 10];
        while socket.read(&mut waste).await? > 0 {}
        io::Result::Ok(())
    })
    .await;
}

impl Listener for Door {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        loop {
            let expires = self.acceptor.expires_at_s().unwrap_or(0);
            self.metrics.expires.set(i64::try_from(expires).unwrap_or(i64::MAX));
            tokio::select! {
                Some(done) = self.handshakes.join_next() => match done {
                    Ok((from, Ok(stream))) => return (stream, from),
                    Ok((from, Err(failure))) => self.refuse(from, failure),
                    Err(error) => tracing::error!(%error, "a handshake's task failed"),
                },
                accepted = self.listener.accept(), if self.handshakes.len() < HANDSHAKES_MAX => match accepted {
                    Ok((socket, from)) => {
                        let acceptor = self.acceptor.clone();
                        self.handshakes.spawn(async move { (from, acceptor.accept(socket, HANDSHAKE).await) });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection can't be accepted; raise the limit of open files if this stays");
                        sleep(ACCEPT_RETRY).await;
                    }
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
