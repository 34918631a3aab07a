//! `POST /v1/balancing/rebalance`: servers give clients away until each has its share.

use crate::app::App;
use crate::auth::Caller;
use crate::clock;
use crate::desired::{Edit, Fleet, Rebalance};
use crate::extract::JsonBody;
use crate::idempotency::{self, Start};
use crate::operation;
use crate::problem::{Fault, Problem};
use crate::rebalance::{self, Share};
use axum::{
    Extension, Json, Router,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::post,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{ops::RangeInclusive, sync::Arc};

/// Clients asked to move per second where nothing else is said.
const CLIENTS_PER_S: u64 = 100;
const CLIENTS_PER_S_RANGE: RangeInclusive<u64> = 1..=100_000;
/// Who came more recently is not asked, where nothing else is said (s).
const COOL_DOWN_S: u64 = 60;
/// What is left over for clients that are slow, beyond the time that the rate needs (s).
const SPARE_S: u64 = 60;
/// A day: nobody waits longer for it.
const SPAN_S_MAX: u64 = 86_400;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/v1/balancing/rebalance", post(start))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRebalance {
    /// Say what would be, and change nothing.
    #[serde(default)]
    dry_run: bool,
    /// Clients asked to move per second, by all servers together.
    clients_per_s: Option<u64>,
    /// Nobody is asked after this time; what the rate needs and a minute where nothing is said.
    within_s: Option<u64>,
    /// Who came more recently is not asked.
    cool_down_s: Option<u64>,
}

/// What a rebalance would come to.
#[derive(Debug, Serialize)]
struct Plan {
    dry_run: bool,
    /// Clients that move.
    clients: u64,
    clients_per_s: u64,
    /// How long that takes at that rate.
    takes_s: u64,
    servers: Vec<Share>,
}

impl NewRebalance {
    fn check(&self) -> Result<(), Problem> {
        let ranges = [
            ("clients_per_s", self.clients_per_s, CLIENTS_PER_S_RANGE),
            ("within_s", self.within_s, 1..=SPAN_S_MAX),
            ("cool_down_s", self.cool_down_s, 0..=SPAN_S_MAX),
        ];
        let faults: Vec<_> = ranges
            .into_iter()
            .filter_map(|(name, given, range)| {
                let given = given.filter(|given| !range.contains(given))?;
                Some(Fault {
                    pointer: format!("/{name}"),
                    detail: format!("{name} is from {} to {}, not {given}", range.start(), range.end()),
                })
            })
            .collect();
        let Some(first) = faults.first() else { return Ok(()) };
        Err(Problem::invalid(first.detail.clone(), faults))
    }

    fn plan(&self, fleet: &Fleet, app: &App) -> Plan {
        let servers = rebalance::shares(fleet, &app.observed.snapshot());
        let clients: u64 = servers.iter().map(|server| server.gives).sum();
        let clients_per_s = self.clients_per_s.unwrap_or(CLIENTS_PER_S);
        Plan {
            dry_run: self.dry_run,
            clients,
            clients_per_s,
            takes_s: clients.div_ceil(clients_per_s),
            servers,
        }
    }

    fn decide(&self, fleet: &Fleet, app: &App, id: &str) -> Result<Start, Problem> {
        if let Some(running) = &fleet.rebalance {
            let detail = format!(
                "a rebalance is under way; wait for GET /v1/operations/{0}, or POST /v1/operations/{0}/abort",
                running.operation
            );
            return Err(Problem::conflict("rebalancing", detail));
        }
        let plan = self.plan(fleet, app);
        let gives = plan.servers.iter().filter(|server| server.gives > 0);
        let rebalance = Rebalance {
            operation: id.to_owned(),
            gives: gives.map(|server| (server.server.clone(), server.gives)).collect(),
            clients_per_s: u32::try_from(plan.clients_per_s).unwrap_or(u32::MAX),
            within_ms: self.within_s.unwrap_or(plan.takes_s + SPARE_S) * 1_000,
            cool_down_ms: self.cool_down_s.unwrap_or(COOL_DOWN_S) * 1_000,
        };
        let operation = rebalance::operation(&rebalance, clock::now_ms());
        let change = json!({"rebalance": rebalance});
        // Where everybody has its share already there is nothing to tell the servers.
        let edits = if rebalance.gives.is_empty() {
            Vec::new()
        } else {
            vec![Edit::SetRebalance(Some(rebalance))]
        };
        Ok(Start { edits, operation, change })
    }
}

async fn start(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JsonBody { value: new, raw }: JsonBody<NewRebalance>,
) -> Result<Response, Problem> {
    new.check()?;
    if new.dry_run {
        return Ok(Json(new.plan(&app.fleet(), &app)).into_response());
    }
    let id = operation::new_id();
    idempotency::start(&app, &caller, &headers, &raw, |fleet| new.decide(fleet, &app, &id)).await
}
