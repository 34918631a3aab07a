//! The routes by resource, and the layers around them.
//!
//! ```text
//!  edge (id, span, figures, problems) ─ panics ─ time limit ─ body limit
//!    ├─ operators (admin's token)   servers · balancers · hosts · balancing · limits · operations · audit · targets
//!    ├─ processes (their own token) control: spec, status
//!    └─ anyone                      /metrics · /healthz · /readyz
//! ```
//!
//! A new route is one file here, one line in [`router`] and one in [`TABLE`].

mod abort;
mod audit;
mod balancers;
mod balancing;
mod control;
mod hosts;
mod if_match;
mod limits;
mod operations;
pub(crate) mod preview;
mod probes;
mod rebalance;
mod removal;
mod servers;
mod targets;
mod trace;

use crate::app::App;
use crate::extract::BODY_BYTES_MAX;
use crate::problem::Problem;
use crate::{auth, edge};
use axum::{Router, extract::DefaultBodyLimit, http::StatusCode, middleware::from_fn_with_state};
use std::{sync::Arc, time::Duration};
use tower_http::{catch_panic::CatchPanicLayer, timeout::TimeoutLayer};

/// Longest that any request may take; above every long poll.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(90);

/// Every route: path, method, status of success.
pub(crate) const TABLE: &[(&str, &str, u16)] = &[
    ("/v1/servers", "GET", 200),
    ("/v1/servers", "POST", 202),
    ("/v1/servers/{name}", "GET", 200),
    ("/v1/servers/{name}", "DELETE", 202),
    ("/v1/balancers", "GET", 200),
    ("/v1/balancers", "POST", 202),
    ("/v1/balancers/{name}", "GET", 200),
    ("/v1/balancers/{name}", "DELETE", 202),
    ("/v1/balancers/{name}/trace", "GET", 200),
    ("/v1/hosts", "GET", 200),
    ("/v1/balancing", "GET", 200),
    ("/v1/balancing", "PUT", 200),
    ("/v1/balancing/confirm", "POST", 200),
    ("/v1/balancing/revert", "POST", 200),
    ("/v1/balancing/rebalance", "POST", 202),
    ("/v1/balancing/preview", "POST", 200),
    ("/v1/limits", "GET", 200),
    ("/v1/limits", "PUT", 200),
    ("/v1/operations/{id}", "GET", 200),
    ("/v1/operations/{id}/abort", "POST", 200),
    ("/v1/audit", "GET", 200),
    ("/v1/prometheus/targets", "GET", 200),
    ("/v1/control/{role}/{name}/spec", "GET", 200),
    ("/v1/control/{role}/{name}/status", "POST", 204),
    ("/metrics", "GET", 200),
    ("/healthz", "GET", 200),
    ("/readyz", "GET", 200),
];

/// All of it.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let operators = Router::new()
        .merge(servers::routes())
        .merge(balancers::routes())
        .merge(hosts::routes())
        .merge(balancing::routes())
        .merge(rebalance::routes())
        .merge(preview::routes())
        .merge(trace::routes())
        .merge(limits::routes())
        .merge(operations::routes())
        .merge(abort::routes())
        .merge(audit::routes())
        .merge(targets::routes())
        .route_layer(from_fn_with_state(app.clone(), auth::operators));
    let processes = control::routes().route_layer(from_fn_with_state(app.clone(), auth::processes));
    Router::new()
        .merge(operators)
        .merge(processes)
        .merge(probes::routes())
        .fallback(async || Problem::of_status(StatusCode::NOT_FOUND, ""))
        .method_not_allowed_fallback(async || Problem::of_status(StatusCode::METHOD_NOT_ALLOWED, ""))
        .with_state(app.clone())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, REQUEST_TIME_MAX))
        .layer(CatchPanicLayer::new())
        .layer(from_fn_with_state(app.clone(), edge::edge))
}

#[cfg(test)]
mod tests;
