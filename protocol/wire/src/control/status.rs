//! Status: what a process is.

use super::{Reverted, Role};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a process is, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// When it started, ms since the Unix epoch.
    pub started_at: u64,
    /// Generation of the spec in force; 0 where there is none yet.
    pub applied_generation: u64,
    /// What it is doing.
    pub state: ProcessState,
    /// What keeps it from `ready`, or from its newest spec; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The role's part.
    pub part: StatusPart,
}

/// What a process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// Opening store and listeners.
    Starting,
    /// Serving.
    Ready,
    /// Serving, but asking its clients to move.
    Draining,
    /// Told to end.
    Stopping,
}

/// The role's part of a status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "role")]
pub enum StatusPart {
    /// A chat server.
    Server(ServerStatus),
    /// A balancer.
    Balancer(BalancerStatus),
    /// A host agent.
    Agent(AgentStatus),
}

/// What a chat server is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// What clients dial.
    pub address: String,
    /// Connections past `hello`.
    pub connections: u64,
    /// The clients that it gives away, or gave away last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shed: Option<ShedStatus>,
}

/// How far a server is in giving clients away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShedStatus {
    /// Which [`Shed`](super::Shed).
    pub id: String,
    /// Clients asked to move so far.
    pub asked: u64,
    /// Of those, the ones that are still connected here.
    pub left: u64,
    /// Nobody more is asked.
    pub done: bool,
}

/// What a balancer is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BalancerStatus {
    /// What clients dial.
    pub address: String,
    /// Generation of the balancing document in force.
    pub balancing_generation: u64,
    /// Set: it went back to the former one by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverted: Option<Reverted>,
    /// The servers that are attached to it.
    pub servers: Vec<BalancerServer>,
    /// How uneven they are under the strategy in force, and would be under each of the others; 0 is even,
    /// 0.25 is a quarter too much on the fullest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub imbalance: BTreeMap<String, f64>,
}

/// One server as a balancer sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BalancerServer {
    /// Its name.
    pub name: String,
    /// Its own count of connections.
    pub connections: u64,
    /// Tickets that are out for it.
    pub reserved: u64,
    /// It says that it takes no new clients.
    pub draining: bool,
}

/// What a host agent is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// The host's name.
    pub host: String,
    /// CPUs that it may use.
    pub cpus: u32,
    /// The instances that it knows of.
    pub instances: Vec<InstanceStatus>,
}

/// One instance as its agent sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// What the agent sees.
    pub state: InstanceState,
    /// Its process id, where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Starts after the first one that nobody asked for.
    pub restarts: u64,
    /// How it ended last, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<String>,
}

/// What an agent sees of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Its process runs.
    Running,
    /// It ended by itself; a start follows after a backoff.
    Crashed,
    /// Asked to end, not ended yet.
    Stopping,
    /// Ended as asked.
    Stopped,
}
