//! What should be: the fleet as operators want it, as read from the database in one piece.
//!
//! Everything else is derived from it: each process's spec by [`crate::specs`],
//! the next steps by [`crate::plan`], what REST shows by [`crate::view`].
//! Changes are lists of [`Edit`]s that the store applies in one transaction.

use crate::operation::Operation;
use fastchat_wire::Secret;
use fastchat_wire::{
    Secret32,
    control::{Balancing, Drain, Limits, Role, Trial},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The desired state, whole, of one generation.
#[derive(Debug, Clone)]
pub(crate) struct Fleet {
    /// Counts every change of desired state, from 1.
    pub(crate) generation: u64,
    /// What the fleet has once.
    pub(crate) cluster: Cluster,
    /// By name.
    pub(crate) hosts: Vec<Host>,
    /// Those that are not gone, by role and ordinal.
    pub(crate) instances: Vec<Instance>,
    /// Ordinals that were ever given: names are not reused.
    pub(crate) ordinals: Ordinals,
    /// The strategy in force.
    pub(crate) balancing: Balancing,
    /// Set where it stands only once it is confirmed.
    pub(crate) trial: Option<Trial>,
    /// Clients that servers give away now.
    pub(crate) rebalance: Option<Rebalance>,
    /// What clients may take.
    pub(crate) limits: Limits,
    /// Counts changes of them.
    pub(crate) limits_generation: u64,
}

impl Fleet {
    /// The host of that name.
    pub(crate) fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// The live instance of that role and name.
    pub(crate) fn instance(&self, role: Role, name: &str) -> Option<&Instance> {
        self.of_role(role).find(|instance| instance.name == name)
    }

    /// The live instances of a role, by ordinal.
    pub(crate) fn of_role(&self, role: Role) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(move |instance| instance.role == role)
    }
}

/// What the fleet has once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// Label of its metrics.
    pub(crate) name: String,
    /// Id of the store and its restore counter: what specs carry.
    pub(crate) store: String,
    /// Tickets, link and bus tokens are derived from it.
    pub(crate) fleet_key: Secret32,
    /// What all processes are told.
    pub(crate) settings: Settings,
}

/// What the control plane was started with and all processes are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where processes find the control plane, `http://host:port`.
    pub(crate) control: String,
    /// The database's URL.
    pub(crate) database: Secret,
    /// Folder of the blobs.
    pub(crate) blobs: String,
    /// `mesh`, or a broker's URL.
    pub(crate) bus: Secret,
}

/// A machine with an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// Its name.
    pub(crate) name: String,
    /// IP address that clients dial.
    pub(crate) address: String,
    /// IP address of links, bus and probes.
    pub(crate) internal_address: String,
    /// Port of the agent's probes.
    pub(crate) probe_port: u16,
    /// Port of the first balancer; links at +1, probes at +2.
    pub(crate) balancer_port: u16,
    /// Port of the first server; server i is at + 10·(i−1), bus +1, probes +2.
    pub(crate) server_port_base: u16,
}

/// One process that should exist.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Instance {
    /// `s1`, `b1`.
    pub(crate) name: String,
    /// Server or balancer.
    pub(crate) role: Role,
    /// The number in its name.
    pub(crate) ordinal: u64,
    /// Where it runs.
    pub(crate) host: String,
    /// Where clients dial it, `host:port`.
    pub(crate) listen: String,
    /// Bus of a server, links of a balancer, `host:port`.
    pub(crate) internal_listen: String,
    /// Its probes, `host:port`.
    pub(crate) probe_listen: String,
    /// Share of the clients, above 0.
    pub(crate) weight: f64,
    /// Most connections; 0 is no limit.
    pub(crate) connections_max: u64,
    /// Grows when the process must be restarted.
    pub(crate) epoch: u64,
    /// What it should come to.
    pub(crate) goal: Goal,
    /// The fleet's generation when the goal was set.
    pub(crate) goal_generation: u64,
}

/// Clients that servers give away, so that each has its share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rebalance {
    /// The operation that follows it.
    pub(crate) operation: String,
    /// How many each server gives away; none of them 0.
    pub(crate) gives: BTreeMap<String, u64>,
    /// Clients asked to move per second, by all servers together.
    pub(crate) clients_per_s: u32,
    /// Nobody is asked after this time (ms).
    pub(crate) within_ms: u64,
    /// Who came more recently is not asked (ms).
    pub(crate) cool_down_ms: u64,
}

/// What an instance should come to. Only ever moves downwards, but that a drain can be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Serve.
    Run,
    /// Be emptied, until then at most (ms since the Unix epoch).
    Drain {
        /// Stopped at this time even if clients are left.
        until: u64,
        /// How its clients are asked.
        pace: Drain,
    },
    /// End.
    Stop,
    /// Ended; only the name is remembered.
    Gone,
}

/// The highest ordinal ever given to each role; 0 where none was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ordinals {
    /// Of servers.
    pub(crate) server: u64,
    /// Of balancers.
    pub(crate) balancer: u64,
}

/// One step of a change. All but [`Edit::PutOperation`] change the desired state.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    /// What the control plane was started with.
    SetSettings(Settings),
    /// A host, new or changed.
    PutHost(Host),
    /// A new instance.
    AddInstance(Instance),
    /// The next goal of an instance.
    SetGoal {
        /// Its name.
        name: String,
        /// The goal.
        goal: Goal,
    },
    /// The next balancing document; its generation grows by 1.
    SetBalancing {
        /// Name of the strategy.
        strategy: String,
        /// Its parameters.
        parameters: BTreeMap<String, Value>,
        /// Set where it stands only once it is confirmed.
        trial: Option<Trial>,
    },
    /// Clients that servers give away from now on.
    SetRebalance(Option<Rebalance>),
    /// The next document of what clients may take; its generation grows by 1.
    SetLimits(Limits),
    /// An operation, new or progressed.
    PutOperation(Operation),
}

impl Edit {
    /// Whether it makes a new generation.
    pub(crate) fn changes_desired_state(&self) -> bool {
        !matches!(self, Self::PutOperation(_))
    }
}
