//! `GET /v1/balancers/{name}/trace`: who came to a balancer and went, for a preview or a simulation.
//!
//! The balancer keeps it (`/trace` beside its probes); it is passed on as it
//! comes, so that who has the admin's token needs no way to the probes.

use crate::app::App;
use crate::extract::Segments;
use crate::problem::Problem;
use axum::{
    Router,
    body::Body,
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
    routing::get,
};
use fastchat_tls::{Connector, Protocol, Roots};
use fastchat_wire::control::Role;
use std::{sync::Arc, time::Duration};

/// The balancer begins to answer within this time.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// All of it has come within this time.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/v1/balancers/{name}/trace", get(show))
}

async fn show(State(app): State<Arc<App>>, Segments(name): Segments<String>) -> Result<Response, Problem> {
    let fleet = app.fleet();
    let balancer = fleet
        .instance(Role::Balancer, &name)
        .ok_or_else(|| super::balancers::unknown(&name))?;
    let url = format!("http://{}/trace", balancer.probe_listen);
    let unreachable = |error: reqwest::Error| {
        let cause = std::iter::successors(std::error::Error::source(&error), |error| error.source()).last();
        let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
        let detail = format!("{name} has no trace to give at {url}: {cause}; GET /v1/balancers/{name} shows whether it is ready");
        Problem::unavailable(detail)
    };
    let answer = client()?.get(&url).send().await.and_then(reqwest::Response::error_for_status);
    let lines = answer.map_err(unreachable)?.bytes_stream();
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

/// Probes are plain HTTP, and nothing is between.
fn client() -> Result<reqwest::Client, Problem> {
    let fault = |error: String| {
        tracing::error!(error, "no client for the probes");
        Problem::internal()
    };
    let nobody = Connector::new(&Roots::Nobody, Protocol::Http).map_err(|error| fault(error.to_string()))?;
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIME_MAX)
        .read_timeout(CONNECT_TIME_MAX)
        .timeout(ANSWER_TIME_MAX)
        .tls_backend_preconfigured(nobody.config())
        .no_proxy()
        .build()
        .map_err(|error| fault(error.to_string()))
}
