//! `POST /v1/balancing/preview`: what each strategy would make of the servers.
//!
//! Nothing of the fleet changes. It is `fastchatd balancer simulate` on the
//! control plane, which links the same code; what is too large for a request
//! is for the program.

use crate::app::App;
use crate::extract::JsonBody;
use crate::problem::{Fault, Problem};
use axum::{Json, Router, extract::State, routing::post};
use fastchat_balancing::{
    simulate::{Churn, Outcome, Trace, simulate},
    strategy::STRATEGIES,
};
use fastchat_wire::control::{Balancing, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::Semaphore;

const PATH: &str = "/v1/balancing/preview";
/// Most clients of synthetic churn: some seconds of one CPU, on a hundred servers.
const CLIENTS_MAX: u32 = 20_000;
/// Most servers.
const SERVERS_MAX: usize = 100;
/// One at a time: it takes a CPU from the control plane.
static ONE: Semaphore = Semaphore::const_new(1);

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, post(preview))
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

async fn preview(State(app): State<Arc<App>>, JsonBody { value: wanted, .. }: JsonBody<Wanted>) -> Result<Json<Preview>, Problem> {
    let balancings = balancings(&wanted)?;
    let trace = match (&wanted.trace, &wanted.synthetic) {
        (Some(_), Some(_)) => {
            return Err(Problem::invalid_at(
                "/synthetic",
                "trace and synthetic exclude each other: give one of them",
            ));
        }
        (Some(text), None) => Trace::parse(text).map_err(|error| Problem::invalid_at("/trace", error.to_string()))?,
        (None, given) => churn(&app, given.as_ref())?.trace(wanted.seed),
    };
    let Ok(one) = ONE.try_acquire() else {
        return Err(Problem::unavailable("another preview is under way: ask again in some seconds"));
    };
    let seed = wanted.seed;
    let playing = tokio::task::spawn_blocking(move || {
        let _one = one;
        let outcomes = balancings.iter().map(|balancing| simulate(&trace, balancing, seed));
        outcomes.collect::<Result<Vec<_>, _>>()
    });
    match playing.await {
        Ok(Ok(items)) => Ok(Json(Preview { items })),
        Ok(Err(faults)) => Err(refused(faults)),
        Err(_) => Err(Problem::internal()),
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
