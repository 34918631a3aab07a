//! What to do next, as pure functions of the desired state and what was seen of it.
//!
//! [`place`] and [`instance`] decide where a new process goes, [`reconcile`]
//! which goals are reached and which operations end. Nothing here has a memory:
//! after a restart of the control plane the same facts give the same steps.

use crate::desired::{Edit, Fleet, Goal, Host, Instance};
use crate::look::{self, HostState, State};
use crate::observed::Sightings;
use crate::operation::{Kind, Operation, OperationState, Step};
use crate::problem::Problem;
use crate::rebalance;
use crate::specs::endpoint;
use fastchat_wire::control::{InstanceState, Role};
use std::collections::BTreeSet;

/// Ports that a process has: clients, internal, probes.
const PORTS: u16 = 3;
/// Ports between two processes of a host.
pub(crate) const STRIDE: u64 = 10;

/// Why a process has no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPlace {
    /// There is no such host.
    #[error("there is no host {0}; GET /v1/hosts lists them")]
    UnknownHost(String),
    /// The host that was asked for is lost.
    #[error("host {0} is lost: its agent has not reported; start its agent, or name another host")]
    HostLost(String),
    /// There is no host that could take it.
    #[error("no host can take it: start an agent (fastchatd agent), or wait until a lost one is back")]
    NoHost,
    /// All ports are taken.
    #[error("host {0} has no free ports; remove a process there, or name another host")]
    NoPorts(String),
}

/// The host for a new process: the one asked for, or the one with the fewest that is not lost.
pub(crate) fn place<'a>(fleet: &'a Fleet, seen: &Sightings, wanted: Option<&str>) -> Result<&'a Host, NoPlace> {
    let lost = |host: &Host| look::host_state(seen, &host.name) == HostState::Lost;
    if let Some(name) = wanted {
        let host = fleet.host(name).ok_or_else(|| NoPlace::UnknownHost(name.to_owned()))?;
        return if lost(host) {
            Err(NoPlace::HostLost(host.name.clone()))
        } else {
            Ok(host)
        };
    }
    let load = |host: &&Host| fleet.instances.iter().filter(|instance| instance.host == host.name).count();
    fleet
        .hosts
        .iter()
        .filter(|host| !lost(host))
        .min_by_key(load)
        .ok_or(NoPlace::NoHost)
}

/// A new server or balancer on a host, with the next name and its ports.
pub(crate) fn instance(fleet: &Fleet, host: &Host, role: Role) -> Result<Instance, NoPlace> {
    let (prefix, given, base) = match role {
        Role::Balancer => ("b", fleet.ordinals.balancer, host.balancer_port),
        Role::Server | Role::Agent => ("s", fleet.ordinals.server, host.server_port_base),
    };
    let ordinal = given + 1;
    let port = port(fleet, host, role, base, ordinal).ok_or_else(|| NoPlace::NoPorts(host.name.clone()))?;
    Ok(Instance {
        name: format!("{prefix}{ordinal}"),
        role,
        ordinal,
        host: host.name.clone(),
        listen: endpoint(&host.address, port),
        internal_listen: endpoint(&host.internal_address, port + 1),
        probe_listen: endpoint(&host.internal_address, port + 2),
        weight: 1.0,
        connections_max: 0,
        epoch: 0,
        goal: Goal::Run,
        goal_generation: fleet.generation + 1,
    })
}

/// Server i has base + 10·(i−1), a balancer its base; where that is taken, a free slot of servers.
fn port(fleet: &Fleet, host: &Host, role: Role, base: u16, ordinal: u64) -> Option<u16> {
    let taken = taken_ports(fleet, host);
    let free = |port: &u16| (0..PORTS).all(|offset| port.checked_add(offset).is_some_and(|port| !taken.contains(&port)));
    let own_slot = match role {
        Role::Balancer => Some(base),
        Role::Server | Role::Agent => slot(base, ordinal - 1),
    };
    let slots = || (0..).map_while(|index| slot(host.server_port_base, index));
    own_slot.filter(free).or_else(|| match role {
        // Balancers come from above, so that servers keep the ports that their names say.
        Role::Balancer => slots().take(1_000).collect::<Vec<_>>().into_iter().rev().find(free),
        Role::Server | Role::Agent => slots().find(free),
    })
}

fn slot(base: u16, index: u64) -> Option<u16> {
    let port = u64::from(base).checked_add(index.checked_mul(STRIDE)?)?;
    u16::try_from(port).ok().filter(|port| port.checked_add(PORTS - 1).is_some())
}

fn taken_ports(fleet: &Fleet, host: &Host) -> BTreeSet<u16> {
    let instances = fleet.instances.iter().filter(|instance| instance.host == host.name);
    instances
        .flat_map(|instance| [&instance.listen, &instance.internal_listen, &instance.probe_listen])
        .filter_map(|address| address.rsplit_once(':')?.1.parse().ok())
        .chain([host.probe_port])
        .collect()
}

/// The next steps towards what is wanted, at `now` (ms since the Unix epoch).
pub(crate) fn reconcile(fleet: &Fleet, seen: &Sightings, open: &[Operation], now: u64) -> Vec<Edit> {
    let goals = fleet.instances.iter().filter_map(|instance| {
        let goal = next_goal(seen, instance, now)?;
        Some(Edit::SetGoal {
            name: instance.name.clone(),
            goal,
        })
    });
    let launches = open
        .iter()
        .filter(|operation| matches!(operation.kind, Kind::Create | Kind::Remove));
    let operations = launches.filter_map(|operation| Some(Edit::PutOperation(progress(fleet, seen, operation, now)?)));
    goals.chain(operations).chain(rebalance::progress(fleet, seen, open, now)).collect()
}

fn next_goal(seen: &Sightings, instance: &Instance, now: u64) -> Option<Goal> {
    match instance.goal {
        Goal::Run | Goal::Gone => None,
        Goal::Drain { until, .. } => is_empty(seen, instance, until, now).then_some(Goal::Stop),
        Goal::Stop => look::has_stopped(seen, instance).then_some(Goal::Gone),
    }
}

/// Whether a draining server may end: nobody is left, nobody is served, or time is up.
fn is_empty(seen: &Sightings, instance: &Instance, until: u64, now: u64) -> bool {
    let look = look::look(seen, instance);
    // Counts of before the drain say nothing: clients may still have been on their way.
    let knows = look
        .own
        .is_some_and(|own| !own.silent && own.status.applied_generation >= instance.goal_generation);
    let runs = look
        .by_agent
        .is_some_and(|by_agent| matches!(by_agent.state, InstanceState::Running | InstanceState::Stopping));
    let agent_reports = look::host_state(seen, &instance.host) == HostState::Ready;
    now >= until || (knows && look::connections(&look) == 0) || (agent_reports && !runs && look.own.is_none())
}

/// The operation as it should be now; `None` where nothing changed.
fn progress(fleet: &Fleet, seen: &Sightings, operation: &Operation, now: u64) -> Option<Operation> {
    let target = fleet.instance(operation.target.role, &operation.target.name);
    let state = target.map_or(State::Stopped, |instance| look::look(seen, instance).state);
    let mut next = operation.clone();
    if next.steps.last().is_none_or(|step| step.state != state.as_str()) && next.steps.len() < STEPS_MAX {
        next.steps.push(Step {
            state: state.as_str().to_owned(),
            at: now,
        });
    }
    let wanted = target.is_some_and(|instance| instance.goal == Goal::Run);
    let late = seen.settled && now >= operation.deadline_at;
    let (state, error) = match operation.kind {
        Kind::Create if !wanted => (OperationState::Failed, Some(removed(operation))),
        Kind::Create if state == State::Ready => (OperationState::Succeeded, None),
        Kind::Remove if target.is_none() => (OperationState::Succeeded, None),
        Kind::Remove if wanted => (OperationState::Failed, Some(given_up(operation))),
        Kind::Create | Kind::Remove if late => (OperationState::Failed, Some(overdue(fleet, seen, operation, state))),
        Kind::Create if state == State::Requested => (OperationState::Pending, None),
        Kind::Create | Kind::Remove | Kind::Trial | Kind::Rebalance => (OperationState::Running, None),
    };
    (next.state, next.error) = (state, error);
    (next != *operation).then_some(Operation { updated_at: now, ..next })
}

/// Steps that an operation remembers: a process that keeps crashing must not make it grow.
const STEPS_MAX: usize = 32;

fn removed(operation: &Operation) -> Problem {
    Problem::conflict("removed", format!("{} was removed before it was ready", operation.target.name))
}

fn given_up(operation: &Operation) -> Problem {
    Problem::conflict(
        "aborted",
        format!("the removal of {} was aborted; it serves on", operation.target.name),
    )
}

fn overdue(fleet: &Fleet, seen: &Sightings, operation: &Operation, state: State) -> Problem {
    let name = &operation.target.name;
    let instance = fleet.instance(operation.target.role, name);
    let look = instance.map(|instance| look::look(seen, instance));
    let said = look.as_ref().and_then(|look| look.own?.status.problem.clone());
    let last_exit = look.as_ref().and_then(|look| look.by_agent?.last_exit.clone());
    let host_lost = instance.is_some_and(|instance| look::host_state(seen, &instance.host) == HostState::Lost);
    let why = match (said, last_exit) {
        (Some(problem), _) => problem,
        (None, Some(exit)) => format!("its last process ended: {exit}"),
        (None, None) if host_lost => "the agent of its host does not report; start it again".to_owned(),
        (None, None) => "neither it nor its agent says why; read its log on its host".to_owned(),
    };
    let aim = match operation.kind {
        Kind::Create => "ready",
        Kind::Remove | Kind::Trial | Kind::Rebalance => "stopped",
    };
    Problem::timeout(format!("{name} is {} and not {aim} in time: {why}", state.as_str()))
}

#[cfg(test)]
mod tests;
