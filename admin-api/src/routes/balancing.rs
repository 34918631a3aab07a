//! `/v1/balancing`: the strategy, changed while clients are served, for good or on trial.

use super::if_match::{IfMatch, etag};
use crate::app::{App, Decision};
use crate::auth::Caller;
use crate::clock;
use crate::desired::{Edit, Fleet};
use crate::extract::{JsonBody, Params, Span};
use crate::operation;
use crate::problem::{Fault, Problem};
use crate::trial;
use crate::view::{self, AppliedBalancing};
use axum::{
    Extension, Json, Router,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use fastchat_balancing::strategy;
use fastchat_wire::control::{self, Balancing, Guard, Trial};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc, time::Duration};

const PATH: &str = "/v1/balancing";
/// How long `?wait=applied` waits where nothing else is said.
const WAIT: Duration = Duration::from_secs(5);
/// The longest that it waits.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// How long a trial may be left unconfirmed.
const CONFIRM_S: RangeInclusive<u64> = 1..=86_400;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(PATH, get(show).put(replace))
        .route("/v1/balancing/confirm", post(confirm))
        .route("/v1/balancing/revert", post(revert))
}

async fn show(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    document(&app).await
}

/// The document as it is, with how the last trial ended.
async fn document(app: &App) -> Result<Response, Problem> {
    let last = app.store.last_trial().await?;
    let mut view = view::balancing(&app.fleet(), &app.observed.snapshot());
    view.last_trial = last.as_ref().and_then(trial::ended);
    Ok(([(header::ETAG, etag(view.generation))], Json(view)).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBalancing {
    strategy: String,
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
    /// It comes to nothing unless it is confirmed in this time.
    confirm_within_s: Option<u64>,
    /// What it has to keep to until it is confirmed.
    #[serde(default)]
    guard: Guard,
}

impl NewBalancing {
    fn check(&self) -> Result<(), Problem> {
        let mut faults = strategy::check(&self.strategy, &self.parameters).err().unwrap_or_default();
        faults.extend(self.guard.check("/guard").err().unwrap_or_default());
        if let Some(within) = self.confirm_within_s.filter(|within| !CONFIRM_S.contains(within)) {
            faults.push(control::Fault {
                pointer: "/confirm_within_s".to_owned(),
                detail: format!(
                    "confirm_within_s is from {} to {}, not {within}",
                    CONFIRM_S.start(),
                    CONFIRM_S.end()
                ),
            });
        }
        let faults: Vec<_> = faults
            .into_iter()
            .map(|fault| Fault {
                pointer: fault.pointer,
                detail: fault.detail,
            })
            .collect();
        let Some(first) = faults.first() else { return Ok(()) };
        Err(Problem::invalid(first.detail.clone(), faults))
    }

    fn trial(&self, fleet: &Fleet, now: u64) -> Option<Trial> {
        trial::begin(fleet, self.confirm_within_s.map(|within| within * 1_000), self.guard, now)
    }
}

#[derive(Debug, Deserialize)]
struct Query {
    /// `applied`: answer when the balancers have it.
    wait: Option<Wait>,
    /// At most this long.
    timeout: Option<Span>,
    /// Say what would be, and change nothing.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wait {
    Applied,
}

async fn replace(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Params(query): Params<Query>,
    headers: HeaderMap,
    JsonBody { value: new, .. }: JsonBody<NewBalancing>,
) -> Result<Response, Problem> {
    let condition = IfMatch::read(&headers, PATH)?;
    new.check()?;
    let now = clock::now_ms();
    if query.dry_run {
        return would_be(&app, &condition, &new, now);
    }
    let open = app.store.open_operations().await?;
    let id = operation::new_id();
    let generation = app
        .change(|fleet: &Fleet| {
            let current = &fleet.balancing;
            condition.check(current.generation, PATH)?;
            let trial = new.trial(fleet, now);
            let after = Balancing {
                strategy: new.strategy.clone(),
                parameters: new.parameters.clone(),
                generation: current.generation + 1,
            };
            let mut change = json!({"before": trial::document(current), "after": trial::document(&after)});
            let replaced = Problem::conflict("replaced", format!("another change came first: {}", new.strategy));
            let mut edits = trial::end(&open, Some(&replaced), now);
            if let Some(trial) = &trial {
                change["trial"] = trial::shown(trial);
                edits.push(Edit::PutOperation(trial::operation(id.clone(), trial)));
            }
            edits.push(Edit::SetBalancing {
                strategy: after.strategy,
                parameters: after.parameters,
                trial,
            });
            Ok(Decision {
                edits,
                audit: Some(caller.changed(200, change)),
                receipt: None,
                value: after.generation,
            })
        })
        .await?;
    if matches!(query.wait, Some(Wait::Applied)) {
        let timeout = query.timeout.map_or(WAIT, |Span(timeout)| timeout.min(WAIT_MAX));
        // Answered either way: the document says how far each balancer is.
        let _ = tokio::time::timeout(timeout, applied(&app, generation)).await;
    }
    document(&app).await
}

/// The document as it would be, under the ETag that it would replace.
fn would_be(app: &App, condition: &IfMatch, new: &NewBalancing, now: u64) -> Result<Response, Problem> {
    let fleet = app.fleet();
    let current = fleet.balancing.generation;
    condition.check(current, PATH)?;
    let mut after = Fleet::clone(&fleet);
    after.trial = new.trial(&fleet, now);
    after.balancing = Balancing {
        strategy: new.strategy.clone(),
        parameters: new.parameters.clone(),
        generation: current + 1,
    };
    let mut view = view::balancing(&after, &app.observed.snapshot());
    view.dry_run = true;
    Ok(([(header::ETAG, etag(current))], Json(view)).into_response())
}

/// `POST /v1/balancing/confirm`: the strategy on trial stands.
async fn confirm(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>, headers: HeaderMap) -> Result<Response, Problem> {
    end(&app, &caller, &headers, |fleet| {
        if let Some((balancer, reverted)) = trial::reverted(fleet, &app.observed.snapshot()) {
            let detail = format!(
                "{balancer} has given it up already: {}; PUT it again to try it again",
                reverted.reason
            );
            return Err(Problem::conflict("reverted", detail));
        }
        Ok((fleet.balancing.clone(), None))
    })
    .await
}

/// `POST /v1/balancing/revert`: back to what stood before the trial.
async fn revert(State(app): State<Arc<App>>, Extension(caller): Extension<Caller>, headers: HeaderMap) -> Result<Response, Problem> {
    end(&app, &caller, &headers, |fleet| {
        let detail = format!("{} was taken back by {}", fleet.balancing.strategy, caller.principal);
        let failed = Problem::conflict("reverted", detail);
        Ok((trial::standing(fleet).clone(), Some(failed)))
    })
    .await
}

/// Ends the trial: what stands from now on, and why the trial failed if it did.
async fn end(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    outcome: impl Fn(&Fleet) -> Result<(Balancing, Option<Problem>), Problem>,
) -> Result<Response, Problem> {
    // Here it is not asked for: who wants to be sure which trial it is sends it.
    let condition = headers
        .contains_key(header::IF_MATCH)
        .then(|| IfMatch::read(headers, PATH))
        .transpose()?;
    let open = app.store.open_operations().await?;
    let now = clock::now_ms();
    app.change(|fleet: &Fleet| {
        let current = &fleet.balancing;
        if let Some(condition) = &condition {
            condition.check(current.generation, PATH)?;
        }
        if fleet.trial.is_none() {
            let detail = format!(
                "{} stands: no strategy is on trial; GET {PATH} shows what is in force",
                current.strategy
            );
            return Err(Problem::conflict("no-trial", detail));
        }
        let (stands, failed) = outcome(fleet)?;
        let mut edits = trial::end(&open, failed.as_ref(), now);
        edits.push(trial::stand(&stands));
        let after = Balancing {
            generation: current.generation + 1,
            ..stands
        };
        let change = json!({"before": trial::document(current), "after": trial::document(&after)});
        Ok(Decision {
            edits,
            audit: Some(caller.changed(200, change)),
            receipt: None,
            value: (),
        })
    })
    .await?;
    document(app).await
}

/// Waits until every balancer has that generation of the document, or has given it up.
async fn applied(app: &App, generation: u64) {
    let mut statuses = app.observed.changes();
    loop {
        let view = view::balancing(&app.fleet(), &app.observed.snapshot());
        let knows = |balancer: &AppliedBalancing| {
            let given_up = balancer.reverted.as_ref().map_or(0, |reverted| reverted.generation);
            balancer.applied_generation.max(given_up) >= generation
        };
        if view.balancers.iter().all(knows) {
            return;
        }
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            // The sender lives as long as the app does.
            _ = statuses.changed() => {}
        }
    }
}
