//! Spec: what a process should be.

use super::{Limits, Trial};
use crate::{Secret, Secret32};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// A role of `fastchatd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Chat server.
    Server,
    /// Balancer.
    Balancer,
    /// Host agent.
    Agent,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Balancer => "balancer",
            Self::Agent => "agent",
        })
    }
}

/// What a process should be, whole: applying it twice is applying it once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Id of the fleet's store and its restore counter.
    pub store: String,
    /// Grows with every change; the same for all processes of the fleet.
    pub generation: u64,
    /// The role's part.
    pub part: Part,
}

/// The role's part of a spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "role")]
pub enum Part {
    /// A chat server.
    Server(ServerSpec),
    /// A balancer.
    Balancer(BalancerSpec),
    /// A host agent.
    Agent(AgentSpec),
}

/// Another process and where to dial it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// `host:port` of its internal listener.
    pub address: String,
}

/// What a chat server should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerSpec {
    /// Its name.
    pub name: String,
    /// Where it listens for clients, `host:port`.
    pub listen: String,
    /// What `assign` tells clients to dial.
    pub address: String,
    /// Where it listens for other servers (mesh bus).
    pub bus_listen: String,
    /// Where it serves `/metrics`, `/healthz`, `/readyz`.
    pub probe_listen: String,
    /// `sqlite:PATH` or `postgres://…`, which may hold a password.
    pub database: Secret,
    /// Folder of the blobs.
    pub blobs: String,
    /// The fleet's key: tickets, link and bus tokens are derived from it.
    pub fleet_key: Secret32,
    /// Its share of the clients, above 0.
    pub weight: f64,
    /// Most connections; 0 is no limit.
    pub connections_max: u64,
    /// The balancers' link addresses.
    pub balancers: Vec<Peer>,
    /// `mesh`, or a broker's URL, which may hold a password ([`BusPlace`](super::BusPlace)).
    #[serde(default = "mesh")]
    pub bus: Secret,
    /// The other servers' bus addresses.
    pub peers: Vec<Peer>,
    /// Set: ask clients to move away.
    pub drain: Option<Drain>,
    /// Set: ask some clients to move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shed: Option<Shed>,
    /// What clients may take.
    #[serde(default, skip_serializing_if = "Limits::is_default")]
    pub limits: Limits,
}

/// The bus of specs that name none.
fn mesh() -> Secret {
    Secret::new("mesh".to_owned())
}

/// How a server is emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Clients asked to move per second.
    pub clients_per_s: u32,
    /// Clients that are still there are closed after this time.
    pub within_ms: u64,
}

/// How a server gives some of its clients away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shed {
    /// Tells one from the next; done once.
    pub id: String,
    /// How many.
    pub clients: u64,
    /// Clients asked to move per second.
    pub clients_per_s: u32,
    /// Nobody is asked after this time.
    pub within_ms: u64,
    /// Who came more recently is not asked: nobody moves twice within this time.
    pub cool_down_ms: u64,
}

/// The balancing strategy in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Balancing {
    /// `least-load` or another of `fastchat_balancing::strategy::STRATEGIES`.
    pub strategy: String,
    /// The strategy's parameters.
    #[serde(default)]
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// Counts changes, from 1; the ETag of `/v1/balancing`.
    pub generation: u64,
}

/// What a balancer should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BalancerSpec {
    /// Its name.
    pub name: String,
    /// Where it listens for clients.
    pub listen: String,
    /// Where it listens for servers.
    pub link_listen: String,
    /// Where it serves `/metrics`, `/healthz`, `/readyz`.
    pub probe_listen: String,
    /// The fleet's key.
    pub fleet_key: Secret32,
    /// The strategy.
    pub balancing: Balancing,
    /// Set: it stands only once it is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// How many balancers divide what a server takes in arrivals; at least 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub balancers: u32,
    /// Life of a ticket in ms.
    pub ticket_ms: u64,
    /// Servers that get no new clients, whatever they say of themselves.
    #[serde(default)]
    pub excluded: Vec<String>,
    /// Most clients of each server by name; absent or 0 is no limit.
    #[serde(default)]
    pub connections_max: BTreeMap<String, u64>,
    /// What clients may take.
    #[serde(default, skip_serializing_if = "Limits::is_default")]
    pub limits: Limits,
}

/// A balancer of a spec that doesn't say how many there are.
fn one() -> u32 {
    1
}

/// One of them divides nothing.
fn is_one(balancers: &u32) -> bool {
    *balancers == 1
}

/// What a host agent should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentSpec {
    /// The host's name.
    pub host: String,
    /// Where the agent serves `/metrics`, `/healthz`, `/readyz`.
    pub probe_listen: String,
    /// The instances that should run here; any other of FastChat's should not.
    pub instances: Vec<InstanceSpec>,
}

/// One process that an agent runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSpec {
    /// `s1`, `b1`: unique in the fleet, never reused for another place.
    pub name: String,
    /// Server or balancer.
    pub role: Role,
    /// Its bearer token on the control link (a file of mode 0600, never an argument).
    pub token: Secret,
    /// Where the control plane is, `http://host:port`.
    pub control: String,
    /// Grows when the process must be restarted.
    #[serde(default)]
    pub epoch: u64,
}
