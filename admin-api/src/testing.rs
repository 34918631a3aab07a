//! A small fleet for the tests of pure modules.

use crate::audit::{Outcome, Record};
use crate::desired::{Cluster, Fleet, Goal, Host, Instance, Ordinals, Settings};
use crate::observed::{Sighting, Sightings};
use fastchat_wire::Secret;
use fastchat_wire::{
    Secret32,
    control::{
        AgentStatus, BalancerStatus, Balancing, Guard, InstanceState, InstanceStatus, Limits, ProcessState, Role, ServerStatus, Status,
        StatusPart, Trial,
    },
};
use std::time::Duration;

/// The host `h1`, `b1` and servers `s1` … on it, all wanted to run.
pub(crate) fn fleet(servers: u64) -> Fleet {
    let mut instances: Vec<_> = (1..=servers).map(|ordinal| instance(Role::Server, ordinal)).collect();
    instances.push(instance(Role::Balancer, 1));
    Fleet {
        generation: 7,
        cluster: Cluster {
            name: "fastchat".into(),
            store: "11111111-2222-4333-8444-555555555555/0".into(),
            fleet_key: Secret32::new([7; 32]),
            settings: Settings {
                control: "http://127.0.0.1:7100".into(),
                database: Secret::new("sqlite:/data/fastchat.db".into()),
                blobs: "/data/blobs".into(),
                bus: Secret::new("mesh".into()),
            },
        },
        hosts: vec![host("h1")],
        instances,
        ordinals: Ordinals {
            server: servers,
            balancer: 1,
        },
        balancing: Balancing {
            strategy: "least-load".into(),
            parameters: [].into(),
            generation: 1,
        },
        trial: None,
        rebalance: None,
        limits: Limits::default(),
        limits_generation: 1,
    }
}

/// A host with the default ports.
pub(crate) fn host(name: &str) -> Host {
    Host {
        name: name.into(),
        address: "127.0.0.1".into(),
        internal_address: "127.0.0.1".into(),
        probe_port: 7104,
        balancer_port: 7101,
        server_port_base: 7110,
    }
}

/// An instance on `h1` with its default ports.
pub(crate) fn instance(role: Role, ordinal: u64) -> Instance {
    let (prefix, port) = if role == Role::Server {
        ("s", 7100 + 10 * ordinal)
    } else {
        ("b", 7101)
    };
    Instance {
        name: format!("{prefix}{ordinal}"),
        role,
        ordinal,
        host: "h1".into(),
        listen: format!("127.0.0.1:{port}"),
        internal_listen: format!("127.0.0.1:{}", port + 1),
        probe_listen: format!("127.0.0.1:{}", port + 2),
        weight: 1.0,
        connections_max: 0,
        epoch: 0,
        goal: Goal::Run,
        goal_generation: 2,
    }
}

/// A server that serves, by its own word.
pub(crate) fn server_status(name: &str, pid: u32) -> Status {
    let part = StatusPart::Server(ServerStatus {
        address: "127.0.0.1:7110".into(),
        connections: 0,
        shed: None,
    });
    status(name, pid, part)
}

/// A strategy on trial for a minute, before which `round-robin` stood as generation 1.
pub(crate) fn trial() -> Trial {
    Trial {
        former: Balancing {
            strategy: "round-robin".into(),
            parameters: [].into(),
            generation: 1,
        },
        started_at: 1_000,
        within_ms: Some(60_000),
        guard: Guard {
            max_refusal_rate: Some(0.5),
            ..Guard::default()
        },
    }
}

/// A balancer that serves with that balancing document.
pub(crate) fn balancer_status(name: &str, pid: u32, balancing_generation: u64) -> Status {
    let part = StatusPart::Balancer(BalancerStatus {
        address: "127.0.0.1:7101".into(),
        balancing_generation,
        ..BalancerStatus::default()
    });
    status(name, pid, part)
}

/// The agent of `h1` with the instances that it sees: role, name, state, pid.
pub(crate) fn agent_status(instances: &[(Role, &str, InstanceState, Option<u32>)]) -> Status {
    let instances = instances.iter().map(|(role, name, state, pid)| InstanceStatus {
        name: (*name).to_owned(),
        role: *role,
        state: *state,
        pid: *pid,
        restarts: 0,
        last_exit: None,
    });
    status(
        "h1",
        10,
        StatusPart::Agent(AgentStatus {
            host: "h1".into(),
            cpus: 2,
            instances: instances.collect(),
        }),
    )
}

fn status(name: &str, pid: u32, part: StatusPart) -> Status {
    Status {
        name: name.to_owned(),
        pid,
        version: "0.1.0".into(),
        started_at: 1,
        applied_generation: 7,
        state: ProcessState::Ready,
        problem: None,
        part,
    }
}

/// What is known, from statuses in the order in which they came.
pub(crate) fn sightings(statuses: impl IntoIterator<Item = Status>) -> Sightings {
    let mut seen = Sightings::default();
    for (sequence, status) in (1..).zip(statuses) {
        let role = match status.part {
            StatusPart::Server(_) => Role::Server,
            StatusPart::Balancer(_) => Role::Balancer,
            StatusPart::Agent(_) => Role::Agent,
        };
        let sighting = Sighting {
            silent: false,
            age: Duration::ZERO,
            sequence,
            status,
        };
        seen.by_process.insert((role, sighting.status.name.clone()), sighting);
    }
    seen
}

/// An audit record of somebody.
pub(crate) fn record(who: &str) -> Record {
    Record {
        at: 1,
        who: who.into(),
        role: "admin".into(),
        from: "127.0.0.1".into(),
        method: "PUT".into(),
        path: "/v1/balancing".into(),
        request_id: "r".into(),
        result: Outcome::Changed,
        status: 200,
        reason: None,
        change: None,
        count: 1,
    }
}
