//! Strategies on trial: how one begins, and how it ends. Pure.
//!
//! ```text
//!  PUT with a deadline or a guard ──> on trial ── confirm ──────────────────> stands
//!                                       ├── revert, or a balancer went back ──> the former one
//!                                       ├── overdue, and no balancer says so ─> the former one
//!                                       └── another PUT ──────────────────────> replaced
//! ```
//!
//! The balancers go back by themselves; here what they did becomes the desired
//! state, so that all of them, and those that start later, agree.

use crate::audit::{Outcome, Record};
use crate::clock;
use crate::desired::{Edit, Fleet};
use crate::observed::Sightings;
use crate::operation::{Kind, Operation, OperationState, Target};
use crate::problem::Problem;
use fastchat_wire::control::{Balancing, Guard, Reverted, Role, StatusPart, Trial};
use serde_json::json;

/// Balancers learn of a trial later than it was asked for: so long after its deadline the control plane ends it itself (ms).
const OVERDUE_MS: u64 = 10_000;
/// All balancers, as an operation's target.
const ALL: &str = "*";

/// Who went back, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GivenUp {
    /// `balancer/b1`, or `control-plane`.
    pub(crate) who: String,
    /// Why, for people.
    pub(crate) reason: String,
}

/// The last document that stood.
pub(crate) fn standing(fleet: &Fleet) -> &Balancing {
    fleet.trial.as_ref().map_or(&fleet.balancing, |trial| &trial.former)
}

/// The next document's trial; `None` where it is to stand at once.
pub(crate) fn begin(fleet: &Fleet, within_ms: Option<u64>, guard: Guard, now: u64) -> Option<Trial> {
    (within_ms.is_some() || !guard.is_empty()).then(|| Trial {
        former: standing(fleet).clone(),
        started_at: now,
        within_ms,
        guard,
    })
}

/// The operation that shows how a trial ends.
pub(crate) fn operation(id: String, trial: &Trial) -> Operation {
    let target = Target {
        role: Role::Balancer,
        name: ALL.to_owned(),
    };
    let deadline_at = trial.within_ms.map_or(u64::MAX, |within| trial.started_at.saturating_add(within));
    Operation {
        state: OperationState::Running,
        ..Operation::new(id, Kind::Trial, target, trial.started_at, deadline_at)
    }
}

/// Ends the trials that are open: well, or with why they failed.
pub(crate) fn end(open: &[Operation], failed: Option<&Problem>, now: u64) -> Vec<Edit> {
    let trials = open.iter().filter(|operation| operation.kind == Kind::Trial);
    trials
        .map(|operation| {
            Edit::PutOperation(Operation {
                state: failed.map_or(OperationState::Succeeded, |_| OperationState::Failed),
                error: failed.cloned(),
                updated_at: now,
                ..operation.clone()
            })
        })
        .collect()
}

/// What stands from now on, for good.
pub(crate) fn stand(balancing: &Balancing) -> Edit {
    Edit::SetBalancing {
        strategy: balancing.strategy.clone(),
        parameters: balancing.parameters.clone(),
        trial: None,
    }
}

/// What that balancer has given up, by its last word.
pub(crate) fn reverted_by<'a>(seen: &'a Sightings, balancer: &str) -> Option<&'a Reverted> {
    match &seen.of(Role::Balancer, balancer)?.status.part {
        StatusPart::Balancer(status) => status.reverted.as_ref(),
        StatusPart::Server(_) | StatusPart::Agent(_) => None,
    }
}

/// The first balancer that has given up the document in force, if one has, and why.
pub(crate) fn reverted<'a>(fleet: &'a Fleet, seen: &'a Sightings) -> Option<(&'a str, &'a Reverted)> {
    fleet.of_role(Role::Balancer).find_map(|balancer| {
        let reverted = reverted_by(seen, &balancer.name)?;
        (reverted.generation == fleet.balancing.generation).then_some((balancer.name.as_str(), reverted))
    })
}

/// Whether the trial is over by itself at `now` (ms since the Unix epoch).
pub(crate) fn given_up(fleet: &Fleet, seen: &Sightings, now: u64) -> Option<GivenUp> {
    let trial = fleet.trial.as_ref()?;
    if let Some((name, reverted)) = reverted(fleet, seen) {
        return Some(GivenUp {
            who: format!("balancer/{name}"),
            reason: reverted.reason.clone(),
        });
    }
    let overdue = trial.started_at.saturating_add(trial.within_ms?).saturating_add(OVERDUE_MS);
    (now >= overdue).then(|| GivenUp {
        who: "control-plane".to_owned(),
        reason: "nobody confirmed it in time, and no balancer said so".to_owned(),
    })
}

/// What the audit log says of it.
pub(crate) fn record(fleet: &Fleet, given_up: &GivenUp, now: u64) -> Record {
    let after = standing(fleet);
    Record {
        at: now,
        who: given_up.who.clone(),
        role: given_up.who.split('/').next().unwrap_or_default().to_owned(),
        from: "fleet".to_owned(),
        method: "REVERT".to_owned(),
        path: "/v1/balancing".to_owned(),
        request_id: format!("trial-{}", fleet.balancing.generation),
        result: Outcome::Changed,
        status: 200,
        reason: Some(given_up.reason.clone()),
        change: Some(json!({"before": document(&fleet.balancing), "after": {
            "strategy": after.strategy, "parameters": after.parameters, "generation": fleet.balancing.generation + 1,
        }})),
        count: 1,
    }
}

/// A balancing document as the audit log shows it.
pub(crate) fn document(balancing: &Balancing) -> serde_json::Value {
    json!({"strategy": balancing.strategy, "parameters": balancing.parameters, "generation": balancing.generation})
}

/// A trial as the audit log and REST show it.
pub(crate) fn shown(trial: &Trial) -> serde_json::Value {
    json!({
        "former": {"strategy": trial.former.strategy, "parameters": trial.former.parameters},
        "started_at": clock::to_rfc3339(trial.started_at),
        "confirm_within_s": trial.within_ms.map(|within| within / 1_000),
        "guard": trial.guard,
    })
}

/// How the last trial ended, for REST; `None` while it is under way.
pub(crate) fn ended(last: &Operation) -> Option<serde_json::Value> {
    last.state.is_final().then(|| {
        json!({
            "operation": last.id,
            "state": last.state,
            "started_at": clock::to_rfc3339(last.created_at),
            "ended_at": clock::to_rfc3339(last.updated_at),
            "reason": last.error.as_ref().map(|error| &error.detail),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{balancer_status, fleet, sightings, trial};

    fn on_trial() -> Fleet {
        let mut fleet = fleet(1);
        fleet.balancing.generation = 2;
        fleet.trial = Some(trial());
        fleet
    }

    fn reverting(name: &str, generation: u64) -> fastchat_wire::control::Status {
        let mut status = balancer_status(name, 9, 1);
        if let StatusPart::Balancer(part) = &mut status.part {
            part.reverted = Some(Reverted {
                generation,
                reason: "it was uneven".into(),
            });
        }
        status
    }

    #[test]
    fn a_trial_of_a_trial_goes_back_to_what_stood_last() {
        let second = begin(&on_trial(), Some(1_000), Guard::default(), 5_000).unwrap();
        assert_eq!(second.former, trial().former);
        assert_eq!(begin(&on_trial(), None, Guard::default(), 5_000), None, "it stands at once");
        assert!(
            begin(&on_trial(), None, trial().guard, 5_000).is_some(),
            "a guard alone is a trial, too"
        );
    }

    #[test]
    fn what_a_balancer_gave_up_is_over_and_what_it_gave_up_before_is_not() {
        let seen = sightings([balancer_status("b2", 9, 2), reverting("b1", 2)]);
        let expected = GivenUp {
            who: "balancer/b1".into(),
            reason: "it was uneven".into(),
        };
        assert_eq!(given_up(&on_trial(), &seen, 1_000), Some(expected));
        assert_eq!(given_up(&on_trial(), &sightings([reverting("b1", 1)]), 1_000), None);
        assert_eq!(
            given_up(&fleet(1), &sightings([reverting("b1", 1)]), 1_000),
            None,
            "nothing is on trial"
        );
    }

    #[test]
    fn without_a_balancer_that_says_so_it_is_over_some_time_after_its_deadline() {
        let last = 1_000 + 60_000 + OVERDUE_MS;
        assert_eq!(given_up(&on_trial(), &sightings([]), last - 1), None);
        assert_eq!(given_up(&on_trial(), &sightings([]), last).unwrap().who, "control-plane");
        let mut endless = on_trial();
        endless.trial = Some(Trial {
            within_ms: None,
            ..trial()
        });
        assert_eq!(given_up(&endless, &sightings([]), u64::MAX), None);
    }
}
