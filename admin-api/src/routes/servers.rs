//! `/v1/servers`: the chat servers.

use super::removal;
use crate::app::App;
use crate::auth::Caller;
use crate::desired::{Edit, Fleet, Instance};
use crate::extract::{JsonBody, Params, Segments};
use crate::idempotency::{self, Start};
use crate::operation::{self, CREATE_MS_MAX, Kind, Operation, Target};
use crate::pages::{Page, PageQuery};
use crate::plan::{self, NoPlace};
use crate::problem::Problem;
use crate::view::{self, ServerView};
use crate::{clock, observed::Sightings};
use axum::{Extension, Json, Router, extract::State, http::HeaderMap, response::Response, routing::get};
use fastchat_balancing::WEIGHTS;
use fastchat_wire::{control::Role, limits::INTEGER_MAX};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/servers", get(list).post(create))
        .route("/v1/servers/{name}", get(show).delete(remove))
}

async fn list(State(app): State<Arc<App>>, Params(page): Params<PageQuery>) -> Result<Json<Page<ServerView>>, Problem> {
    let (fleet, seen) = (app.fleet(), app.observed.snapshot());
    let servers = fleet
        .of_role(Role::Server)
        .map(|instance| (instance.ordinal, view::server(&fleet, &seen, instance)));
    page.of(servers).map(Json)
}

async fn show(State(app): State<Arc<App>>, Segments(name): Segments<String>) -> Result<Json<ServerView>, Problem> {
    let fleet = app.fleet();
    let instance = fleet.instance(Role::Server, &name).ok_or_else(|| unknown(&name))?;
    Ok(Json(view::server(&fleet, &app.observed.snapshot(), instance)))
}

fn unknown(name: &str) -> Problem {
    Problem::not_found(format!("there is no server {name}; GET /v1/servers lists them"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewServer {
    /// Where; the host with the fewest processes where none is named.
    host: Option<String>,
    /// Share of the clients.
    weight: Option<f64>,
    /// Most connections; 0 is no limit.
    connections_max: Option<u64>,
}

async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JsonBody { value: new, raw }: JsonBody<NewServer>,
) -> Result<Response, Problem> {
    let id = operation::new_id();
    let decide = |fleet: &Fleet| {
        let server = new_server(fleet, &app.observed.snapshot(), &new)?;
        Ok(launch(server, &id))
    };
    idempotency::start(&app, &caller, &headers, &raw, decide).await
}

fn new_server(fleet: &Fleet, seen: &Sightings, new: &NewServer) -> Result<Instance, Problem> {
    let weight = new.weight.unwrap_or(1.0);
    if !WEIGHTS.contains(&weight) {
        let (min, max) = (WEIGHTS.start(), WEIGHTS.end());
        return Err(Problem::invalid_at(
            "/weight",
            format!("weight is a number from {min} to {max}, not {weight}"),
        ));
    }
    let connections_max = new.connections_max.unwrap_or(0);
    if connections_max > INTEGER_MAX {
        return Err(Problem::invalid_at(
            "/connections_max",
            format!("connections_max is at most {INTEGER_MAX}; 0 is no limit"),
        ));
    }
    let host = plan::place(fleet, seen, new.host.as_deref())?;
    Ok(Instance {
        weight,
        connections_max,
        ..plan::instance(fleet, host, Role::Server)?
    })
}

/// Stores a new instance and follows it until it is ready.
pub(super) fn launch(instance: Instance, operation_id: &str) -> Start {
    let now = clock::now_ms();
    let target = Target {
        role: instance.role,
        name: instance.name.clone(),
    };
    let operation = Operation::new(operation_id.to_owned(), Kind::Create, target, now, now + CREATE_MS_MAX);
    let change = json!({"create": instance.name, "host": instance.host, "address": instance.listen});
    Start {
        edits: vec![Edit::AddInstance(instance)],
        operation,
        change,
    }
}

impl From<NoPlace> for Problem {
    fn from(error: NoPlace) -> Self {
        match error {
            NoPlace::UnknownHost(_) => Self::invalid_at("/host", error.to_string()),
            NoPlace::HostLost(_) | NoPlace::NoHost => Self::conflict("no-host", error.to_string()),
            NoPlace::NoPorts(_) => Self::conflict("no-ports", error.to_string()),
        }
    }
}

async fn remove(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Segments(name): Segments<String>,
    Params(query): Params<removal::Query>,
) -> Result<Response, Problem> {
    let target = Target {
        role: Role::Server,
        name: name.clone(),
    };
    removal::remove(&app, &caller, target, query, || unknown(&name)).await
}
