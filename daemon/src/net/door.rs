//! The door of one listener: what comes in is a connection of the kind that this process speaks.

use super::{farewell, refusals::Refusals};
use fastchat_tls::{Acceptor, HANDSHAKE_FAILURES, HandshakeFailure, Stream};
use fastchat_wire::{Code, Empty, ErrorBody, encode_failure};
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use std::time::Duration;
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// The handshake of somebody who is not let in.
const REFUSED_HANDSHAKE: Duration = Duration::from_secs(1);

/// What the doors of a process count.
#[derive(Debug, Clone)]
pub(crate) struct DoorMetrics {
    failures: IntCounterVec,
    expires: IntGauge,
}

impl DoorMetrics {
    /// Registers them for a component (`server`, `balancer`) and its listeners, each labelled one at 0.
    ///
    /// # Errors
    /// A metric is registered twice: a fault of ours.
    pub(crate) fn register(registry: &Registry, component: &str, listeners: &[&str]) -> prometheus::Result<Self> {
        let name = |what: &str| format!("fastchat_{component}_{what}");
        let failures = IntCounterVec::new(
            Opts::new(
                name("tls_handshake_failures_total"),
                "Connections that did not become TLS, by listener and reason",
            ),
            &["listener", "reason"],
        )?;
        let expires = IntGauge::new(
            name("tls_certificate_expires_timestamp_seconds"),
            "When the certificate in use expires; 0 without TLS",
        )?;
        registry.register(Box::new(failures.clone()))?;
        registry.register(Box::new(expires.clone()))?;
        for listener in listeners {
            for reason in HANDSHAKE_FAILURES {
                failures.with_label_values(&[listener, reason]);
            }
        }
        Ok(Self { failures, expires })
    }
}

/// The door of one listener.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    acceptor: Acceptor,
    metrics: DoorMetrics,
    listener: &'static str,
    refusals: Refusals,
}

impl Door {
    /// The door of a listener that was registered.
    pub(crate) fn new(acceptor: &Acceptor, metrics: &DoorMetrics, listener: &'static str) -> Self {
        Self {
            acceptor: acceptor.clone(),
            metrics: metrics.clone(),
            listener,
            refusals: Refusals::default(),
        }
    }

    /// Tells somebody who is not let in why, and closes. Who speaks TLS is told after
    /// a handshake, or sees its connection end where there are too many of them.
    pub(crate) fn refuse(&self, socket: TcpStream, answer: &[u8]) {
        if !self.acceptor.is_tls() {
            return farewell::refuse(socket, answer);
        }
        let (door, answer) = (self.clone(), answer.to_vec());
        self.refusals.begin(async move {
            if let Some(mut stream) = door.open(socket, REFUSED_HANDSHAKE).await
                && stream.write_all(&answer).await.is_ok()
                && stream.shutdown().await.is_ok()
            {
                farewell::discard(stream).await;
            }
        });
    }

    /// Has the certificate's files looked at, and shows until when it is good.
    pub(crate) fn look(&self) {
        let expires = self.acceptor.expires_at_s().unwrap_or(0);
        self.metrics.expires.set(i64::try_from(expires).unwrap_or(i64::MAX));
    }

    /// Lets a peer in, `within` that time; otherwise it is counted, and told where it does not speak TLS. Safe to cancel.
    pub(crate) async fn open(&self, socket: TcpStream, within: Duration) -> Option<Stream> {
        let failure = match self.acceptor.accept(socket, within).await {
            Ok(stream) => return Some(stream),
            Err(failure) => failure,
        };
        self.metrics.failures.with_label_values(&[self.listener, failure.label()]).inc();
        tracing::debug!(listener = self.listener, reason = failure.label(), %failure, "a connection was not taken");
        if let HandshakeFailure::Plain(socket) = failure {
            speaks_tls_only(socket).await;
        }
        None
    }
}

/// Tells a plain peer what it met, in its own language.
async fn speaks_tls_only(mut socket: TcpStream) {
    let error = ErrorBody::new(
        Code::BadRequest,
        "this port speaks TLS only: dial it with TLS (fastchat: --tls, and --ca FILE where the fleet has a CA of its own)",
    );
    if let Ok(frame) = encode_failure(None, &error, &Empty {}) {
        // A fresh socket's buffer takes it at once; there is no waiting for one that doesn't.
        if socket.try_write(&frame).is_ok() && socket.shutdown().await.is_ok() {
            farewell::discard(socket).await;
        }
    }
}
