//! `/metrics`, `/healthz` and `/readyz` of every process, and a balancer's `/trace`; plain HTTP.

use axum::{Router, extract::State, http::StatusCode, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use prometheus::{Encoder, Registry, TextEncoder};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What `/readyz` answers: 200 or 503. Starts as not ready.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// From now on.
    pub(crate) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    /// What `/readyz` would answer.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What `/trace` answers: 404 until the role has one.
#[derive(Clone, Default)]
pub(crate) struct TracePage(Arc<OnceLock<Box<dyn Fn() -> String + Send + Sync>>>);

impl TracePage {
    /// From now on what `write` gives, at each request anew. A second one changes nothing.
    pub(crate) fn set(&self, write: impl Fn() -> String + Send + Sync + 'static) {
        // An error is the second one.
        let _ = self.0.set(Box::new(write));
    }
}

/// Serves the probes until `shutdown`.
///
/// # Errors
/// The listener failed.
pub(crate) async fn serve(
    listener: TcpListener,
    registry: Registry,
    readiness: Readiness,
    page: TracePage,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let app = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state(readiness)
        .route("/metrics", get(metrics).with_state(registry))
        .route("/trace", get(trace).with_state(page));
    axum::serve(listener, app)
        .with_graceful_shutdown(async move { shutdown.cancelled().await })
        .await
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

async fn trace(State(page): State<TracePage>) -> axum::response::Response {
    match page.0.get() {
        Some(write) => ([(CONTENT_TYPE, "application/x-ndjson")], write()).into_response(),
        None => (StatusCode::NOT_FOUND, "only a balancer has a trace\n").into_response(),
    }
}

async fn metrics(State(registry): State<Registry>) -> axum::response::Response {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&registry.gather(), &mut text) {
        Ok(()) => ([(CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
