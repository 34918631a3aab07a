//! `/v1/balancing`: the strategy, changed while clients are served.

use super::if_match::{IfMatch, etag};
use crate::app::{App, Decision};
use crate::auth::Caller;
use crate::desired::{Edit, Fleet};
use crate::extract::{JsonBody, Params, Span};
use crate::problem::{Fault, Problem};
use crate::view::{self, BalancingView};
use axum::{
    Extension, Json, Router,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::get,
};
use fastchat_balancing::strategy;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const PATH: &str = "/v1/balancing";
/// How long `?wait=applied` waits where nothing else is said.
const WAIT: Duration = Duration::from_secs(5);
/// The longest that it waits.
const WAIT_MAX: Duration = Duration::from_secs(60);

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(show).put(replace))
}

async fn show(State(app): State<Arc<App>>) -> Response {
    answer(view::balancing(&app.fleet(), &app.observed.snapshot()))
}

fn answer(view: BalancingView) -> Response {
    ([(header::ETAG, etag(view.generation))], Json(view)).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBalancing {
    strategy: String,
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
    /// Not supported yet, and not to be ignored either.
    confirm_within_s: Option<Value>,
    /// Not supported yet, and not to be ignored either.
    guard: Option<Value>,
}

impl NewBalancing {
    fn check(&self) -> Result<(), Problem> {
        let known = strategy::check(&self.strategy, &self.parameters).err().unwrap_or_default();
        let mut faults: Vec<_> = known
            .into_iter()
            .map(|fault| Fault {
                pointer: fault.pointer,
                detail: fault.detail,
            })
            .collect();
        for (pointer, given) in [("/confirm_within_s", &self.confirm_within_s), ("/guard", &self.guard)] {
            if given.is_some() {
                let detail = "not supported yet; leave it away: the change then stands until the next one";
                faults.push(Fault {
                    pointer: pointer.to_owned(),
                    detail: detail.to_owned(),
                });
            }
        }
        let Some(first) = faults.first() else { return Ok(()) };
        Err(Problem::invalid(first.detail.clone(), faults))
    }
}

#[derive(Debug, Deserialize)]
struct Query {
    /// `applied`: answer when the balancers have it.
    wait: Option<Wait>,
    /// At most this long.
    timeout: Option<Span>,
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
    let generation = app
        .change(|fleet: &Fleet| {
            let current = &fleet.balancing;
            condition.check(current.generation, PATH)?;
            let change = json!({
                "before": {"strategy": current.strategy, "parameters": current.parameters, "generation": current.generation},
                "after": {"strategy": new.strategy, "parameters": new.parameters, "generation": current.generation + 1},
            });
            let edit = Edit::SetBalancing {
                strategy: new.strategy.clone(),
                parameters: new.parameters.clone(),
            };
            let audit = Some(caller.changed(200, change));
            Ok(Decision {
                edits: vec![edit],
                audit,
                receipt: None,
                value: current.generation + 1,
            })
        })
        .await?;
    if matches!(query.wait, Some(Wait::Applied)) {
        let timeout = query.timeout.map_or(WAIT, |Span(timeout)| timeout.min(WAIT_MAX));
        // Answered either way: the document says how far each balancer is.
        let _ = tokio::time::timeout(timeout, applied(&app, generation)).await;
    }
    let document = view::balancing(&app.fleet(), &app.observed.snapshot());
    Ok(answer(document))
}

/// Waits until every balancer has that generation of the document.
async fn applied(app: &App, generation: u64) {
    let mut statuses = app.observed.changes();
    loop {
        let view = view::balancing(&app.fleet(), &app.observed.snapshot());
        if view.balancers.iter().all(|balancer| balancer.applied_generation >= generation) {
            return;
        }
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            // The sender lives as long as the app does.
            _ = statuses.changed() => {}
        }
    }
}
