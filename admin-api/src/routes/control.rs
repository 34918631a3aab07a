//! The control link: a process reads its spec and posts its status.

use crate::app::App;
use crate::extract::{JsonBody, Params, Segments};
use crate::problem::Problem;
use crate::specs;
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use fastchat_wire::control::{Role, SPEC_WAIT_MS, Status, StatusPart};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/control/{role}/{name}/spec", get(spec))
        .route("/v1/control/{role}/{name}/status", post(status))
}

#[derive(Debug, Deserialize)]
struct Query {
    /// The generation that the process has.
    #[serde(default)]
    after: u64,
}

/// Answers with the spec once it is newer than what the process has; 204 where it stays as it is.
async fn spec(
    State(app): State<Arc<App>>,
    Segments((role, name)): Segments<(Role, String)>,
    Params(query): Params<Query>,
) -> Result<Response, Problem> {
    let mut fleets = app.fleets();
    let over = tokio::time::sleep(Duration::from_millis(SPEC_WAIT_MS));
    tokio::pin!(over);
    loop {
        let fleet = fleets.borrow_and_update().clone();
        let spec = specs::spec(&fleet, role, &name).ok_or_else(|| unknown(role, &name))?;
        if spec.generation > query.after {
            return Ok(Json(spec).into_response());
        }
        tokio::select! {
            () = app.shutdown.cancelled() => return Ok(StatusCode::NO_CONTENT.into_response()),
            () = &mut over => return Ok(StatusCode::NO_CONTENT.into_response()),
            // The sender lives as long as the app does.
            _ = fleets.changed() => {}
        }
    }
}

fn unknown(role: Role, name: &str) -> Problem {
    Problem::not_found(format!("the fleet wants no {role} {name}"))
}

/// Takes what the process says of itself.
async fn status(
    State(app): State<Arc<App>>,
    Segments((role, name)): Segments<(Role, String)>,
    JsonBody { value: status, .. }: JsonBody<Status>,
) -> Result<StatusCode, Problem> {
    let fleet = app.fleet();
    let known = match role {
        Role::Agent => fleet.host(&name).is_some(),
        Role::Server | Role::Balancer => fleet.instance(role, &name).is_some(),
    };
    if !known {
        return Err(unknown(role, &name));
    }
    if status.name != name {
        return Err(Problem::invalid_at("/name", format!("this link is of {name}")));
    }
    let own_part = match (&status.part, role) {
        (StatusPart::Agent(agent), Role::Agent) => agent.host == name,
        (StatusPart::Server(_), Role::Server) | (StatusPart::Balancer(_), Role::Balancer) => true,
        (StatusPart::Agent(_) | StatusPart::Server(_) | StatusPart::Balancer(_), _) => false,
    };
    if !own_part {
        return Err(Problem::invalid_at("/part", format!("this link is of the {role} {name}")));
    }
    app.observed.record(role, status);
    Ok(StatusCode::NO_CONTENT)
}
