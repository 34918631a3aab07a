//! `/v1/balancers`: where clients ask for a server.

use super::{removal, servers::launch};
use crate::app::App;
use crate::auth::Caller;
use crate::desired::Fleet;
use crate::extract::{JsonBody, Params, Segments};
use crate::idempotency;
use crate::operation::{self, Target};
use crate::pages::{Page, PageQuery};
use crate::plan;
use crate::problem::Problem;
use crate::view::{self, BalancerView};
use axum::{Extension, Json, Router, extract::State, http::HeaderMap, response::Response, routing::get};
use fastchat_wire::control::Role;
use serde::Deserialize;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/balancers", get(list).post(create))
        .route("/v1/balancers/{name}", get(show).delete(remove))
}

async fn list(State(app): State<Arc<App>>, Params(page): Params<PageQuery>) -> Result<Json<Page<BalancerView>>, Problem> {
    let (fleet, seen) = (app.fleet(), app.observed.snapshot());
    let balancers = fleet
        .of_role(Role::Balancer)
        .map(|instance| (instance.ordinal, view::balancer(&fleet, &seen, instance)));
    page.of(balancers).map(Json)
}

async fn show(State(app): State<Arc<App>>, Segments(name): Segments<String>) -> Result<Json<BalancerView>, Problem> {
    let fleet = app.fleet();
    let instance = fleet.instance(Role::Balancer, &name).ok_or_else(|| unknown(&name))?;
    Ok(Json(view::balancer(&fleet, &app.observed.snapshot(), instance)))
}

pub(super) fn unknown(name: &str) -> Problem {
    Problem::not_found(format!("there is no balancer {name}; GET /v1/balancers lists them"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBalancer {
    /// Where; the host with the fewest processes where none is named.
    host: Option<String>,
}

async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JsonBody { value: new, raw }: JsonBody<NewBalancer>,
) -> Result<Response, Problem> {
    let id = operation::new_id();
    let decide = |fleet: &Fleet| {
        let host = plan::place(fleet, &app.observed.snapshot(), new.host.as_deref())?;
        Ok(launch(plan::instance(fleet, host, Role::Balancer)?, &id))
    };
    idempotency::start(&app, &caller, &headers, &raw, decide).await
}

async fn remove(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Segments(name): Segments<String>,
    Params(query): Params<removal::Query>,
) -> Result<Response, Problem> {
    let target = Target {
        role: Role::Balancer,
        name: name.clone(),
    };
    removal::remove(&app, &caller, target, query, || unknown(&name)).await
}
