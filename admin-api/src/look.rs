//! The state of each process: what is wanted and what was seen of it, put together. Pure.
//!
//! ```text
//!  requested ─agent starts it─> starting ─its own status─> ready ─DELETE─> draining ─> stopping ─> stopped
//!                                  ^                         │
//!                                  └──── crashed <───────────┤ ended by itself
//!                                          lost  <───────────┘ nobody has heard of it for 10 s
//! ```

use crate::desired::{Goal, Instance};
use crate::observed::{Sighting, Sightings};
use fastchat_wire::control::{InstanceState, InstanceStatus, ProcessState, StatusPart};
use serde::Serialize;

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
pub(crate) fn look<'a>(seen: &'a Sightings, instance: &Instance) -> Look<'a> {
    let by_agent = seen.by_agent(&instance.host, instance.role, &instance.name);
    let own = seen.of(instance.role, &instance.name);
    let state = match instance.goal {
        Goal::Stop | Goal::Gone if has_stopped(seen, instance) => State::Stopped,
        Goal::Stop | Goal::Gone => State::Stopping,
        Goal::Run => running_state(seen, &instance.host, own, by_agent),
        Goal::Drain { .. } => match running_state(seen, &instance.host, own, by_agent) {
            State::Requested | State::Starting | State::Ready => State::Draining,
            state => state,
        },
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

fn running_state(seen: &Sightings, host: &str, own: Option<&Sighting>, by_agent: Option<(&Sighting, &InstanceStatus)>) -> State {
    let heard_of = |sighting: &Sighting| !sighting.silent;
    if let Some((agent, by_agent)) = by_agent.filter(|(agent, _)| heard_of(agent)) {
        match by_agent.state {
            InstanceState::Crashed => return State::Crashed,
            InstanceState::Stopping => return State::Stopping,
            InstanceState::Stopped => return State::Requested,
            InstanceState::Running => match own {
                Some(own) if !is_of_the_running_process(own, agent, by_agent) => return State::Starting,
                Some(own) => return own_state(own),
                None => return State::Starting,
            },
        }
    }
    match (own, seen.agent(host)) {
        (Some(own), _) => own_state(own),
        (None, Some((agent, _))) if heard_of(agent) => State::Requested,
        (None, Some(_)) => State::Lost,
        (None, None) if seen.settled => State::Lost,
        (None, None) => State::Requested,
    }
}

fn own_state(own: &Sighting) -> State {
    match own.status.state {
        _ if own.silent => State::Lost,
        ProcessState::Starting => State::Starting,
        ProcessState::Stopping => State::Stopping,
        ProcessState::Ready => State::Ready,
        ProcessState::Draining => State::Draining,
    }
}

/// Whether its agent, knowing that it should not run, says that it does not.
pub(crate) fn has_stopped(seen: &Sightings, instance: &Instance) -> bool {
    let Some((agent, _)) = seen.agent(&instance.host) else {
        return false;
    };
    let knows = !agent.silent && agent.status.applied_generation >= instance.goal_generation;
    let runs = seen
        .by_agent(&instance.host, instance.role, &instance.name)
        .is_some_and(|(_, instance)| instance.state != InstanceState::Stopped);
    knows && !runs
}

/// The connections of a server by its own word; 0 where it says nothing.
pub(crate) fn connections(look: &Look<'_>) -> u64 {
    match look.own.filter(|own| !own.silent).map(|own| &own.status.part) {
        Some(StatusPart::Server(status)) => status.connections,
        Some(StatusPart::Balancer(_) | StatusPart::Agent(_)) | None => 0,
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

/// The state of a host.
pub(crate) fn host_state(seen: &Sightings, name: &str) -> HostState {
    match seen.agent(name) {
        Some((agent, _)) if agent.silent => HostState::Lost,
        Some(_) => HostState::Ready,
        None if seen.settled => HostState::Lost,
        None => HostState::Joining,
    }
}

#[cfg(test)]
mod tests;
