//! `/metrics`, `/healthz`, `/readyz`: without a token, as every process has them.

use crate::app::App;
use crate::look;
use crate::problem::Problem;
use axum::{
    Router,
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
    routing::get,
};
use fastchat_wire::control::Role;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
}

async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let (fleet, seen) = (app.fleet(), app.observed.snapshot());
    let servers: Vec<_> = fleet.of_role(Role::Server).map(|server| look::look(&seen, server).state).collect();
    app.metrics
        .observe(fleet.generation, &servers, &app.store.operation_counts().await?);
    let (media_type, text) = app.metrics.render().map_err(|error| {
        tracing::error!(%error, "the figures can't be written");
        Problem::internal()
    })?;
    Ok(([(CONTENT_TYPE, media_type)], text).into_response())
}

/// Ready while the database answers and no stop was asked for.
async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    if app.shutdown.is_cancelled() {
        return Err(Problem::unavailable("the control plane is ending"));
    }
    app.store.operation_counts().await?;
    Ok("ready\n")
}
