//! `POST /v1/operations/{id}/abort`: what can still be left undone is.
//!
//! A rebalance stops asking clients to move, a draining server serves on, a
//! strategy on trial makes way for the former one. What was launched is removed
//! instead, and a server that is stopping stops.

use crate::app::{App, Decision};
use crate::auth::Caller;
use crate::clock;
use crate::desired::{Edit, Fleet, Goal};
use crate::extract::Segments;
use crate::operation::{Kind, Operation};
use crate::problem::Problem;
use crate::{rebalance, trial};
use axum::{Extension, Json, Router, extract::State, routing::post};
use serde_json::json;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/v1/operations/{id}/abort", post(abort))
}

async fn abort(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Segments(id): Segments<String>,
) -> Result<Json<Operation>, Problem> {
    let operation = app.store.operation(&id).await?;
    let operation = operation.ok_or_else(|| Problem::not_found(format!("there is no operation {id}")))?;
    if operation.state.is_final() {
        let detail = format!("it has {} already", operation.state.as_str());
        return Err(Problem::conflict("ended", detail));
    }
    let failed = Problem::conflict("aborted", format!("aborted by {}", caller.principal));
    let ended = rebalance::ended(&operation, Some(failed), clock::now_ms());
    let decide = |fleet: &Fleet| {
        Ok(Decision {
            edits: vec![undo(fleet, &operation)?, Edit::PutOperation(ended.clone())],
            audit: Some(caller.changed(200, json!({"abort": id, "kind": operation.kind, "target": operation.target}))),
            receipt: None,
            value: ended.clone(),
        })
    };
    Ok(Json(app.change(decide).await?))
}

fn undo(fleet: &Fleet, operation: &Operation) -> Result<Edit, Problem> {
    let name = &operation.target.name;
    let too_late = |detail: String| Err(Problem::conflict("too-late", detail));
    match operation.kind {
        Kind::Rebalance => Ok(Edit::SetRebalance(None)),
        Kind::Trial => Ok(trial::stand(trial::standing(fleet))),
        Kind::Remove => match fleet.instance(operation.target.role, name).map(|instance| instance.goal) {
            Some(Goal::Drain { .. }) => Ok(Edit::SetGoal {
                name: name.clone(),
                goal: Goal::Run,
            }),
            _ => too_late(format!("{name} is stopping; launch another one instead")),
        },
        Kind::Create => too_late(format!("{name} is being launched; DELETE it instead")),
    }
}
