//! DELETE of a server or balancer: drain, stop, forget. Asked twice is done once.

use crate::app::{App, Decision};
use crate::auth::Caller;
use crate::clock;
use crate::desired::{Edit, Fleet, Goal, Instance};
use crate::idempotency::accepted;
use crate::look::{self, State};
use crate::observed::Sightings;
use crate::operation::{self, Kind, Operation, STOP_MS_MAX, Target};
use crate::problem::Problem;
use crate::specs::DRAIN;
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use fastchat_wire::control::{Drain, Role};
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Query {
    /// Without drain, and even if it is the last one.
    #[serde(default)]
    force: bool,
    /// Clients that a server asks to move per second.
    clients_per_s: Option<u32>,
    /// Those that are left are closed after this time.
    within_s: Option<u64>,
    /// Say what would be, and change nothing.
    #[serde(default)]
    dry_run: bool,
}

/// A day: no drain takes longer.
const WITHIN_S_MAX: u64 = 86_400;

impl Query {
    fn pace(self) -> Result<Drain, Problem> {
        let within = self.within_s.unwrap_or(DRAIN.within_ms / 1_000);
        let clients_per_s = self.clients_per_s.unwrap_or(DRAIN.clients_per_s);
        if clients_per_s == 0 || !(1..=WITHIN_S_MAX).contains(&within) {
            let detail = format!("clients_per_s is at least 1, and within_s from 1 to {WITHIN_S_MAX}");
            return Err(Problem::bad_request(detail));
        }
        Ok(Drain {
            clients_per_s,
            within_ms: within * 1_000,
        })
    }
}

/// Sets the goal of what is to go, and answers with the operation that follows it.
pub(super) async fn remove(
    app: &App,
    caller: &Caller,
    target: Target,
    query: Query,
    unknown: impl Fn() -> Problem,
) -> Result<Response, Problem> {
    let pace = query.pace()?;
    if query.dry_run {
        return would_be(app, &target, query.force, pace, &unknown);
    }
    let open = app.store.open_operations().await?;
    let under_way = open
        .into_iter()
        .find(|operation| operation.kind == Kind::Remove && operation.target == target);
    let id = operation::new_id();
    let decide = |fleet: &Fleet| {
        let instance = fleet.instance(target.role, &target.name).ok_or_else(&unknown)?;
        let now = clock::now_ms();
        let goal = next_goal(fleet, &app.observed.snapshot(), instance, query.force, pace, now)?;
        let mut edits: Vec<_> = goal
            .map(|goal| Edit::SetGoal {
                name: target.name.clone(),
                goal,
            })
            .into_iter()
            .collect();
        let operation = under_way.clone().unwrap_or_else(|| {
            let new = Operation::new(id.clone(), Kind::Remove, target.clone(), now, now + pace.within_ms + STOP_MS_MAX);
            edits.push(Edit::PutOperation(new.clone()));
            new
        });
        let change = json!({"remove": target.name, "force": query.force, "pace": pace});
        let audit = (!edits.is_empty()).then(|| caller.changed(202, change));
        Ok(Decision {
            edits,
            audit,
            receipt: None,
            value: operation,
        })
    };
    accepted(&app.change(decide).await?)
}

/// What a removal would come to.
fn would_be(app: &App, target: &Target, force: bool, pace: Drain, unknown: &impl Fn() -> Problem) -> Result<Response, Problem> {
    let (fleet, seen) = (app.fleet(), app.observed.snapshot());
    let instance = fleet.instance(target.role, &target.name).ok_or_else(unknown)?;
    let goal = next_goal(&fleet, &seen, instance, force, pace, clock::now_ms())?;
    let clients = look::connections(&look::look(&seen, instance));
    let drains = matches!(goal, Some(Goal::Drain { .. }));
    let takes_s = clients.div_ceil(u64::from(pace.clients_per_s)).min(pace.within_ms / 1_000);
    let document = json!({
        "dry_run": true,
        "remove": target.name,
        "drains": drains,
        "clients": clients,
        "clients_per_s": pace.clients_per_s,
        "within_s": pace.within_ms / 1_000,
        "takes_s": if drains { takes_s } else { 0 },
    });
    Ok(Json(document).into_response())
}

/// The next goal; `None` where it is on its way already.
fn next_goal(fleet: &Fleet, seen: &Sightings, instance: &Instance, force: bool, pace: Drain, now: u64) -> Result<Option<Goal>, Problem> {
    match instance.goal {
        Goal::Run if !force && is_last_ready(fleet, seen, instance) => Err(Problem::conflict(
            "last-one",
            format!(
                "{} is the last ready {}; add another one first, or delete it with ?force=true",
                instance.name, instance.role
            ),
        )),
        Goal::Run if force || instance.role != Role::Server => Ok(Some(Goal::Stop)),
        Goal::Run => Ok(Some(Goal::Drain {
            until: now + pace.within_ms,
            pace,
        })),
        Goal::Drain { .. } if force => Ok(Some(Goal::Stop)),
        Goal::Drain { .. } | Goal::Stop | Goal::Gone => Ok(None),
    }
}

/// Whether nobody would be left. Just after a start, before all could report, whoever was not heard of may be ready.
fn is_last_ready(fleet: &Fleet, seen: &Sightings, instance: &Instance) -> bool {
    let ready = |instance: &Instance| look::look(seen, instance).state == State::Ready;
    let may_be_ready = ready(instance) || (!seen.settled && seen.of(instance.role, &instance.name).is_none());
    may_be_ready
        && !fleet
            .of_role(instance.role)
            .any(|other| other.name != instance.name && ready(other))
}
