//! `POST /v1/balancing/preview`: what each strategy would make of the servers.
//!
//! Nothing of the fleet changes. It is `fastchatd balancer simulate` on the
//! control plane, which links the same code. A trace that a balancer recorded
//! fits; what is larger is for the program.

use crate::app::App;
use crate::extract::JsonBody;
use crate::problem::{Fault, Problem};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequestParts, State},
    http::{StatusCode, request::Parts},
    routing::post,
};
use fastchat_balancing::{
    simulate::{Churn, Outcome, Trace, simulate},
    strategy::STRATEGIES,
};
use fastchat_wire::control::{Balancing, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::{Semaphore, SemaphorePermit};

const PATH: &str = "/v1/balancing/preview";
/// Most clients of synthetic churn: some seconds of one CPU, on a hundred servers.
const CLIENTS_MAX: u32 = 20_000;
/// Most servers.
const SERVERS_MAX: usize = 100;
/// Most arrivals and departures of a trace, under one strategy; ten times what a balancer records.
const STEPS_MAX: u64 = 1_000_000;
/// The same times the servers, so that the longest recorded trace of a hundred servers with a thousand clients each fits:
/// some ten seconds of one CPU for all strategies.
const WORK_MAX: u64 = 25_000_000;
/// Largest body: twice a balancer's longest trace, as a JSON string.
pub(crate) const BODY_BYTES_MAX: usize = 16 << 20;
/// For whom all this is too little.
const PROGRAM: &str = "fastchatd balancer simulate --trace FILE, which takes 1 GiB";
/// What to do about a body beyond [`BODY_BYTES_MAX`].
pub(crate) const TOO_LARGE: &str =
    "the limit of a preview is 16 MiB: give a part of the trace, or use fastchatd balancer simulate --trace FILE, which takes 1 GiB";
/// One at a time: it takes a CPU from the control plane.
pub(super) static ONE: Semaphore = Semaphore::const_new(1);

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(PATH, post(preview))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Lines of a trace. Absent: synthetic churn.
    trace: Option<String>,
    /// The churn; what is left out is the default, servers are those of the fleet.
    synthetic: Option<Value>,
    /// Absent: all.
    strategies: Option<Vec<String>>,
    /// Parameters by strategy.
    #[serde(default)]
    parameters: BTreeMap<String, BTreeMap<String, Value>>,
    /// One seed gives one answer.
    #[serde(default)]
    seed: u64,
}

#[derive(Debug, Serialize)]
struct Preview {
    items: Vec<Outcome>,
}

async fn preview(State(app): State<Arc<App>>, turn: Turn, body: Result<JsonBody<Wanted>, Problem>) -> Result<Json<Preview>, Problem> {
    let wanted = body.map_err(too_large)?.value;
    let balancings = balancings(&wanted)?;
    let source = match (wanted.trace, wanted.synthetic) {
        (Some(_), Some(_)) => {
            return Err(Problem::invalid_at(
                "/synthetic",
                "trace and synthetic exclude each other: give one of them",
            ));
        }
        (Some(text), None) => Source::Trace(text),
        (None, given) => Source::Synthetic(churn(&app, given.as_ref())?),
    };
    let seed = wanted.seed;
    let playing = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let trace = source.trace(seed)?;
        let outcomes = balancings
            .iter()
            .map(|balancing| simulate(&trace, balancing, seed).map_err(refused));
        outcomes.collect::<Result<Vec<_>, _>>()
    });
    match playing.await {
        Ok(items) => items.map(|items| Json(Preview { items })),
        Err(_) => Err(Problem::internal()),
    }
}

/// The right to play. It is taken before the body is read: there is room for one.
struct Turn(#[expect(dead_code, reason = "it is held")] SemaphorePermit<'static>);

impl<S: Send + Sync> FromRequestParts<S> for Turn {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Problem> {
        let busy = |_| Problem::unavailable("another preview is under way: ask again in some seconds");
        ONE.try_acquire().map(Self).map_err(busy)
    }
}

fn too_large(problem: Problem) -> Problem {
    if problem.status_code() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE)
    } else {
        problem
    }
}

/// What is played.
enum Source {
    Trace(String),
    Synthetic(Churn),
}

impl Source {
    fn trace(self, seed: u64) -> Result<Trace, Problem> {
        let text = match self {
            Self::Synthetic(churn) => return Ok(churn.trace(seed)),
            Self::Trace(text) => text,
        };
        let trace = Trace::parse(&text).map_err(|error| Problem::invalid_at("/trace", error.to_string()))?;
        let size = trace.size();
        let fault = if size.servers > SERVERS_MAX as u64 {
            format!(
                "the trace has {} servers at a time, and a preview {SERVERS_MAX} at most",
                size.servers
            )
        } else if size.steps > STEPS_MAX || size.work() > WORK_MAX {
            format!(
                "the trace makes clients come and go {} times on {} servers: a preview plays {STEPS_MAX} times at most, and {WORK_MAX} times its servers",
                size.steps, size.servers
            )
        } else {
            return Ok(trace);
        };
        Err(Problem::invalid_at(
            "/trace",
            format!("{fault}; give a part of it, or use {PROGRAM}"),
        ))
    }
}

/// One for each strategy that is asked for.
fn balancings(wanted: &Wanted) -> Result<Vec<Balancing>, Problem> {
    let all = || STRATEGIES.iter().map(|entry| entry.info.name.to_owned()).collect();
    let names = wanted.strategies.clone().unwrap_or_else(all);
    if names.is_empty() || names.len() > STRATEGIES.len() {
        let detail = format!("strategies are 1 to {} names; without the key, all", STRATEGIES.len());
        return Err(Problem::invalid_at("/strategies", detail));
    }
    let of = |strategy: String| {
        let parameters = wanted.parameters.get(&strategy).cloned().unwrap_or_default();
        fastchat_balancing::strategy::check(&strategy, &parameters).map_err(refused)?;
        Ok(Balancing {
            strategy,
            parameters,
            generation: 0,
        })
    };
    names.into_iter().map(of).collect()
}

fn churn(app: &App, given: Option<&Value>) -> Result<Churn, Problem> {
    let mut churn: Churn = match given {
        Some(given) => serde_json::from_value(given.clone()).map_err(|error| Problem::invalid_at("/synthetic", error.to_string()))?,
        None => Churn::default(),
    };
    let weights: Vec<_> = app.fleet().of_role(Role::Server).map(|server| server.weight).collect();
    if given.is_none_or(|given| given.get("weights").is_none()) && !weights.is_empty() {
        churn.weights = weights;
    }
    if churn.weights.len() > SERVERS_MAX {
        let detail = format!(
            "a preview has at most {SERVERS_MAX} servers, not {}: use fastchatd balancer simulate",
            churn.weights.len()
        );
        return Err(Problem::invalid_at("/synthetic/weights", detail));
    }
    churn.check(CLIENTS_MAX).map_err(|fault| {
        let pointer = format!("/synthetic{}", fault.pointer);
        Problem::invalid_at(&pointer, fault.detail)
    })?;
    Ok(churn)
}

fn refused(faults: Vec<fastchat_wire::control::Fault>) -> Problem {
    let as_ours = |fault: fastchat_wire::control::Fault| Fault {
        pointer: fault.pointer,
        detail: fault.detail,
    };
    let faults: Vec<_> = faults.into_iter().map(as_ours).collect();
    Problem::invalid(faults.first().map(|fault| fault.detail.clone()).unwrap_or_default(), faults)
}
