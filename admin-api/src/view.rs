//! The documents that REST shows of servers, balancers, hosts and balancing. Pure.

use crate::desired::{Fleet, Goal, Host, Instance};
use crate::look::{self, HostState, Look, State, look};
use crate::observed::Sightings;
use crate::trial;
use fastchat_wire::control::{BalancerServer, Balancing, Reverted, Role, StatusPart};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

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
    let look = look(seen, instance);
    ServerView {
        connections: look::connections(&look),
        weight: instance.weight,
        connections_max: instance.connections_max,
        process: process(fleet, instance, &look),
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
    let look = look(seen, instance);
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
    /// Set: it stands only once it is confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trial: Option<Value>,
    /// How the last one ended, and why it was given up if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_trial: Option<Value>,
    /// It only would be so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) dry_run: bool,
    /// How far each balancer is.
    pub(crate) balancers: Vec<AppliedBalancing>,
}

/// What a balancer makes of the balancing document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AppliedBalancing {
    /// The balancer.
    pub(crate) name: String,
    /// 0 where it never said.
    pub(crate) applied_generation: u64,
    /// Set: it went back to the former strategy by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reverted: Option<Reverted>,
    /// How uneven its servers are under the strategy in force, and would be under each of the others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) imbalance: BTreeMap<String, f64>,
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
            reverted: trial::reverted_by(seen, &instance.name).cloned(),
            imbalance: imbalance(seen, instance),
        });
    BalancingView {
        strategy,
        parameters,
        generation,
        trial: fleet.trial.as_ref().map(trial::shown),
        last_trial: None,
        dry_run: false,
        balancers: balancers.collect(),
    }
}

fn imbalance(seen: &Sightings, instance: &Instance) -> BTreeMap<String, f64> {
    match look(seen, instance).own.map(|own| &own.status.part) {
        Some(StatusPart::Balancer(status)) => status.imbalance.clone(),
        Some(StatusPart::Server(_) | StatusPart::Agent(_)) | None => BTreeMap::new(),
    }
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

/// Shows a host.
pub(crate) fn host(fleet: &Fleet, seen: &Sightings, host: &Host) -> HostView {
    let agent = seen.agent(&host.name);
    let status = agent.map(|(sighting, _)| &sighting.status);
    HostView {
        name: host.name.clone(),
        address: host.address.clone(),
        state: look::host_state(seen, &host.name),
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
