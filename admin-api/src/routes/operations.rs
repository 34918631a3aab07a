//! `/v1/operations/{id}`: how far long work is.

use crate::app::App;
use crate::extract::{Params, Segments, Span};
use crate::operation::Operation;
use crate::problem::Problem;
use axum::{Json, Router, extract::State, routing::get};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

/// The longest that `?wait=` waits.
const WAIT_MAX: Duration = Duration::from_secs(60);

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/v1/operations/{id}", get(show))
}

#[derive(Debug, Deserialize)]
struct Query {
    /// Answer when it has ended, at most this long from now.
    wait: Option<Span>,
}

async fn show(
    State(app): State<Arc<App>>,
    Segments(id): Segments<String>,
    Params(query): Params<Query>,
) -> Result<Json<Operation>, Problem> {
    let wait = query.wait.map_or(Duration::ZERO, |Span(wait)| wait.min(WAIT_MAX));
    let over = tokio::time::sleep(wait);
    tokio::pin!(over);
    let mut commits = app.commits();
    loop {
        commits.mark_unchanged();
        let operation = app.store.operation(&id).await?;
        let operation = operation.ok_or_else(|| Problem::not_found(format!("there is no operation {id}")))?;
        if operation.state.is_final() {
            return Ok(Json(operation));
        }
        tokio::select! {
            () = app.shutdown.cancelled() => return Ok(Json(operation)),
            () = &mut over => return Ok(Json(operation)),
            // The sender lives as long as the app does.
            _ = commits.changed() => {}
        }
    }
}
