//! What operators see: desired and observed state of each process, put together. Pure.
//!
//! ```text
//!  requested ─agent starts it─> starting ─its own status─> ready ─DELETE─> draining ─> stopping ─> stopped
//!                                  ^                         │
//!                                  └──── crashed <───────────┤ ended by itself
//!                                          lost  <───────────┘ nobody has heard of it for 10 s
//! ```

use crate::desired::{Fleet, Goal, Host, Instance};
use crate::observed::{Sighting, Sightings};
use fastchat_wire::control::{BalancerServer, Balancing, InstanceState, InstanceStatus, ProcessState, Role, StatusPart};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The state of a server or balancer, as REST and metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Stored; its agent has not started it.
    Requested,
    /// Its process runs but does not serve yet.
    Starting,
    /// It serves.
    Ready,
    /// It serves its clients, and gets no new ones.
    Cordoned,
    /// It asks its clients to move.
    Draining,
    /// It was told to end.
    Stopping,
    /// It ended as asked.
    Stopped,
    /// It ended by itself and starts again after a backoff.
    Crashed,
    /// Neither it nor its agent says anything of it.
    Lost,
}

impl State {
    /// All of them.
    pub(crate) const ALL: [Self; 9] = [
        Self::Requested,
        Self::Starting,
        Self::Ready,
        Self::Cordoned,
        Self::Draining,
        Self::Stopping,
        Self::Stopped,
        Self::Crashed,
        Self::Lost,
    ];

    /// As JSON and metrics name it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Cordoned => "cordoned",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Crashed => "crashed",
            Self::Lost => "lost",
        }
    }
}

/// What is known of one instance.
pub(crate) struct Look<'a> {
    /// Its state.
    pub(crate) state: State,
    /// Its own last status, where it is of the process that runs now.
    pub(crate) own: Option<&'a Sighting>,
    /// What its agent said last.
    pub(crate) by_agent: Option<&'a InstanceStatus>,
}

/// Looks at one instance.
pub(crate) fn look<'a>(fleet: &Fleet, seen: &'a Sightings, instance: &Instance) -> Look<'a> {
    let by_agent = seen.by_agent(&instance.host, instance.role, &instance.name);
    let own = seen.of(instance.role, &instance.name);
    let state = match instance.goal {
        Goal::Stop | Goal::Gone if has_stopped(fleet, seen, instance) => State::Stopped,
        Goal::Stop | Goal::Gone => State::Stopping,
        Goal::Run | Goal::Drain { .. } => running_state(seen, instance, own, by_agent),
    };
    let current = |own: &&Sighting| by_agent.is_none_or(|(agent, by_agent)| is_of_the_running_process(own, agent, by_agent));
    Look {
        state,
        own: own.filter(current),
        by_agent: by_agent.map(|(_, instance)| instance),
    }
}

/// Whether a status is of the process that the agent speaks of: the newer of the two knows.
fn is_of_the_running_process(own: &Sighting, agent: &Sighting, by_agent: &InstanceStatus) -> bool {
    own.sequence > agent.sequence || by_agent.pid == Some(own.status.pid)
}

fn running_state(seen: &Sightings, instance: &Instance, own: Option<&Sighting>, by_agent: Option<(&Sighting, &InstanceStatus)>) -> State {
    let heard_of = |sighting: &Sighting| !sighting.silent;
    if let Some((agent, by_agent)) = by_agent.filter(|(agent, _)| heard_of(agent)) {
        match by_agent.state {
            InstanceState::Crashed => return State::Crashed,
            InstanceState::Stopping => return State::Stopping,
            InstanceState::Stopped => return State::Requested,
            InstanceState::Running => match own {
                Some(own) if !is_of_the_running_process(own, agent, by_agent) => return State::Starting,
                Some(own) => return own_state(instance, own),
                None => return State::Starting,
            },
        }
    }
    match (own, seen.agent(&instance.host)) {
        (Some(own), _) => own_state(instance, own),
        (None, Some((agent, _))) if heard_of(agent) => State::Requested,
        (None, Some(_)) => State::Lost,
        (None, None) if seen.settled => State::Lost,
        (None, None) => State::Requested,
    }
}

fn own_state(instance: &Instance, own: &Sighting) -> State {
    match own.status.state {
        _ if own.silent => State::Lost,
        ProcessState::Starting => State::Starting,
        ProcessState::Stopping => State::Stopping,
        ProcessState::Ready | ProcessState::Draining if instance.goal != Goal::Run => State::Draining,
        ProcessState::Ready => State::Ready,
        ProcessState::Draining => State::Draining,
    }
}

/// Whether its agent, knowing that it should not run, says that it does not.
pub(crate) fn has_stopped(fleet: &Fleet, seen: &Sightings, instance: &Instance) -> bool {
    debug_assert!(fleet.generation >= instance.goal_generation, "goals are set by generations");
    let Some((agent, _)) = seen.agent(&instance.host) else {
        return false;
    };
    let knows = !agent.silent && agent.status.applied_generation >= instance.goal_generation;
    let runs = seen
        .by_agent(&instance.host, instance.role, &instance.name)
        .is_some_and(|(_, instance)| instance.state != InstanceState::Stopped);
    knows && !runs
}

/// What REST shows of every process.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ProcessView {
    /// Its name.
    pub(crate) name: String,
    /// Where it runs.
    pub(crate) host: String,
    /// What clients dial.
    pub(crate) address: String,
    /// Its state.
    pub(crate) state: State,
    /// Its process id.
    pub(crate) pid: Option<u32>,
    /// Its version.
    pub(crate) version: Option<String>,
    /// Starts after the first one that nobody asked for.
    pub(crate) restarts: u64,
    /// The generation that it should have.
    pub(crate) wanted_generation: u64,
    /// The generation that it has; 0 where it never said.
    pub(crate) applied_generation: u64,
    /// What keeps it from `ready`, for people.
    pub(crate) problem: Option<String>,
}

fn process(fleet: &Fleet, instance: &Instance, look: &Look<'_>) -> ProcessView {
    let own = look.own.map(|sighting| &sighting.status);
    let by_agent = look.by_agent;
    let last_exit = by_agent
        .filter(|_| look.state == State::Crashed)
        .and_then(|by_agent| by_agent.last_exit.clone());
    ProcessView {
        name: instance.name.clone(),
        host: instance.host.clone(),
        address: instance.listen.clone(),
        state: look.state,
        pid: own.map(|own| own.pid).or_else(|| by_agent.and_then(|by_agent| by_agent.pid)),
        version: own.map(|own| own.version.clone()),
        restarts: by_agent.map_or(0, |by_agent| by_agent.restarts),
        wanted_generation: fleet.generation,
        applied_generation: own.map_or(0, |own| own.applied_generation),
        problem: last_exit.or_else(|| own.and_then(|own| own.problem.clone())),
    }
}

/// A chat server, as REST shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ServerView {
    /// What every process has.
    #[serde(flatten)]
    pub(crate) process: ProcessView,
    /// Connections past `hello`.
    pub(crate) connections: u64,
    /// Share of the clients.
    pub(crate) weight: f64,
    /// Most connections; 0 is no limit.
    pub(crate) connections_max: u64,
}

/// Shows a chat server.
pub(crate) fn server(fleet: &Fleet, seen: &Sightings, instance: &Instance) -> ServerView {
    let look = look(fleet, seen, instance);
    ServerView {
        connections: connections(&look),
        weight: instance.weight,
        connections_max: instance.connections_max,
        process: process(fleet, instance, &look),
    }
}

/// The connections of a server by its own word; 0 where it says nothing.
pub(crate) fn connections(look: &Look<'_>) -> u64 {
    match look.own.filter(|own| !own.silent).map(|own| &own.status.part) {
        Some(StatusPart::Server(status)) => status.connections,
        Some(StatusPart::Balancer(_) | StatusPart::Agent(_)) | None => 0,
    }
}

/// A balancer, as REST shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct BalancerView {
    /// What every process has.
    #[serde(flatten)]
    pub(crate) process: ProcessView,
    /// Generation of the balancing document in force there; 0 where it never said.
    pub(crate) balancing_generation: u64,
    /// The servers attached to it.
    pub(crate) servers: Vec<BalancerServer>,
}

/// Shows a balancer.
pub(crate) fn balancer(fleet: &Fleet, seen: &Sightings, instance: &Instance) -> BalancerView {
    let look = look(fleet, seen, instance);
    let (balancing_generation, servers) = match look.own.map(|own| &own.status.part) {
        Some(StatusPart::Balancer(status)) => (status.balancing_generation, status.servers.clone()),
        Some(StatusPart::Server(_) | StatusPart::Agent(_)) | None => (0, Vec::new()),
    };
    BalancerView {
        process: process(fleet, instance, &look),
        balancing_generation,
        servers,
    }
}

/// The balancing document, as REST shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct BalancingView {
    /// Name of the strategy.
    pub(crate) strategy: String,
    /// Its parameters.
    pub(crate) parameters: BTreeMap<String, Value>,
    /// Counts changes; the ETag.
    pub(crate) generation: u64,
    /// How far each balancer is.
    pub(crate) balancers: Vec<AppliedBalancing>,
}

/// The generation of the balancing document that a balancer has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct AppliedBalancing {
    /// The balancer.
    pub(crate) name: String,
    /// 0 where it never said.
    pub(crate) applied_generation: u64,
}

/// Shows the balancing document.
pub(crate) fn balancing(fleet: &Fleet, seen: &Sightings) -> BalancingView {
    let Balancing {
        strategy,
        parameters,
        generation,
    } = fleet.balancing.clone();
    let balancers = fleet
        .of_role(Role::Balancer)
        .filter(|instance| instance.goal == Goal::Run)
        .map(|instance| AppliedBalancing {
            name: instance.name.clone(),
            applied_generation: balancer(fleet, seen, instance).balancing_generation,
        });
    BalancingView {
        strategy,
        parameters,
        generation,
        balancers: balancers.collect(),
    }
}

/// The state of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HostState {
    /// Its agent has not been heard of yet.
    Joining,
    /// Its agent reports.
    Ready,
    /// Its agent has been silent for too long.
    Lost,
}

/// A host, as REST shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct HostView {
    /// Its name.
    pub(crate) name: String,
    /// IP address that clients dial.
    pub(crate) address: String,
    /// Its state.
    pub(crate) state: HostState,
    /// CPUs that its agent may use; 0 where it never said.
    pub(crate) cpus: u32,
    /// Servers and balancers that stand on it.
    pub(crate) instances: Vec<String>,
    /// The agent's process id.
    pub(crate) pid: Option<u32>,
    /// The agent's version.
    pub(crate) version: Option<String>,
    /// The generation that the agent should have.
    pub(crate) wanted_generation: u64,
    /// The generation that the agent has; 0 where it never said.
    pub(crate) applied_generation: u64,
    /// How long ago the agent reported (ms).
    pub(crate) silent_ms: Option<u64>,
}

/// The state of a host.
pub(crate) fn host_state(seen: &Sightings, name: &str) -> HostState {
    match seen.agent(name) {
        Some((agent, _)) if agent.silent => HostState::Lost,
        Some(_) => HostState::Ready,
        None if seen.settled => HostState::Lost,
        None => HostState::Joining,
    }
}

/// Shows a host.
pub(crate) fn host(fleet: &Fleet, seen: &Sightings, host: &Host) -> HostView {
    let agent = seen.agent(&host.name);
    let status = agent.map(|(sighting, _)| &sighting.status);
    HostView {
        name: host.name.clone(),
        address: host.address.clone(),
        state: host_state(seen, &host.name),
        cpus: agent.map_or(0, |(_, agent)| agent.cpus),
        instances: fleet
            .instances
            .iter()
            .filter(|instance| instance.host == host.name)
            .map(|instance| instance.name.clone())
            .collect(),
        pid: status.map(|status| status.pid),
        version: status.map(|status| status.version.clone()),
        wanted_generation: fleet.generation,
        applied_generation: status.map_or(0, |status| status.applied_generation),
        silent_ms: agent.map(|(sighting, _)| u64::try_from(sighting.age.as_millis()).unwrap_or(u64::MAX)),
    }
}

#[cfg(test)]
mod tests;
