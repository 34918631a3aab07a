//! Specs of all processes, as a pure function of the desired state.
//!
//! One generation always gives the same documents: what is only observed never
//! enters a spec, so a process that has a generation has the whole truth of it.

use crate::desired::{Fleet, Goal, Instance};
use crate::rebalance;
use crate::tokens;
use fastchat_wire::control::{AgentSpec, BalancerSpec, Drain, InstanceSpec, Part, Peer, Role, ServerSpec, Spec};

/// How a server is drained where nothing else is said.
pub(crate) const DRAIN: Drain = Drain {
    clients_per_s: 200,
    within_ms: 30_000,
};
/// Life of a ticket (ms).
const TICKET_MS: u64 = 10_000;

/// The spec of one process; `None` where the fleet has no such process (any more).
pub(crate) fn spec(fleet: &Fleet, role: Role, name: &str) -> Option<Spec> {
    let part = match role {
        Role::Agent => Part::Agent(agent(fleet, name)?),
        Role::Balancer => Part::Balancer(balancer(fleet, running(fleet, role, name)?)),
        Role::Server => Part::Server(server(fleet, running(fleet, role, name)?)),
    };
    Some(Spec {
        store: fleet.cluster.store.clone(),
        generation: fleet.generation,
        part,
    })
}

fn running<'a>(fleet: &'a Fleet, role: Role, name: &str) -> Option<&'a Instance> {
    fleet.instance(role, name).filter(|instance| should_run(instance))
}

/// Whether its agent should run it.
fn should_run(instance: &Instance) -> bool {
    matches!(instance.goal, Goal::Run | Goal::Drain { .. })
}

fn agent(fleet: &Fleet, host: &str) -> Option<AgentSpec> {
    let host = fleet.host(host)?;
    let instances = fleet
        .instances
        .iter()
        .filter(|instance| instance.host == host.name && should_run(instance));
    Some(AgentSpec {
        host: host.name.clone(),
        probe_listen: endpoint(&host.internal_address, host.probe_port),
        instances: instances
            .map(|instance| InstanceSpec {
                name: instance.name.clone(),
                role: instance.role,
                token: tokens::process_token(&fleet.cluster.fleet_key, instance.role, &instance.name),
                control: fleet.cluster.settings.control.clone(),
                epoch: instance.epoch,
            })
            .collect(),
    })
}

fn server(fleet: &Fleet, server: &Instance) -> ServerSpec {
    let settings = &fleet.cluster.settings;
    ServerSpec {
        name: server.name.clone(),
        listen: server.listen.clone(),
        address: server.listen.clone(),
        bus_listen: server.internal_listen.clone(),
        probe_listen: server.probe_listen.clone(),
        database: settings.database.clone(),
        blobs: settings.blobs.clone(),
        fleet_key: fleet.cluster.fleet_key.clone(),
        weight: server.weight,
        connections_max: server.connections_max,
        balancers: peers(fleet, Role::Balancer, ""),
        bus: settings.bus.clone(),
        peers: peers(fleet, Role::Server, &server.name),
        drain: match server.goal {
            Goal::Drain { pace, .. } => Some(pace),
            Goal::Run | Goal::Stop | Goal::Gone => None,
        },
        shed: rebalance::shed(fleet, server),
        limits: fleet.limits.clone(),
    }
}

fn peers(fleet: &Fleet, role: Role, except: &str) -> Vec<Peer> {
    fleet
        .of_role(role)
        .filter(|instance| should_run(instance) && instance.name != except)
        .map(|instance| Peer {
            name: instance.name.clone(),
            address: instance.internal_listen.clone(),
        })
        .collect()
}

fn balancer(fleet: &Fleet, balancer: &Instance) -> BalancerSpec {
    BalancerSpec {
        name: balancer.name.clone(),
        listen: balancer.listen.clone(),
        link_listen: balancer.internal_listen.clone(),
        probe_listen: balancer.probe_listen.clone(),
        fleet_key: fleet.cluster.fleet_key.clone(),
        balancing: fleet.balancing.clone(),
        trial: fleet.trial.clone(),
        balancers: fleet
            .of_role(Role::Balancer)
            .filter(|balancer| should_run(balancer))
            .fold(0, |count, _| count + 1),
        ticket_ms: TICKET_MS,
        excluded: fleet
            .of_role(Role::Server)
            .filter(|server| server.goal != Goal::Run)
            .map(|server| server.name.clone())
            .collect(),
        connections_max: fleet
            .of_role(Role::Server)
            .filter(|server| server.connections_max > 0)
            .map(|server| (server.name.clone(), server.connections_max))
            .collect(),
        limits: fleet.limits.clone(),
    }
}

/// `host:port`, with the brackets that an IPv6 address needs.
pub(crate) fn endpoint(address: &str, port: u16) -> String {
    if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fleet, instance};

    fn server_spec(fleet: &Fleet, name: &str) -> ServerSpec {
        match spec(fleet, Role::Server, name).unwrap().part {
            Part::Server(spec) => spec,
            Part::Balancer(_) | Part::Agent(_) => panic!("not a server's spec"),
        }
    }

    fn balancer_spec(fleet: &Fleet) -> BalancerSpec {
        match spec(fleet, Role::Balancer, "b1").unwrap().part {
            Part::Balancer(spec) => spec,
            Part::Server(_) | Part::Agent(_) => panic!("not a balancer's spec"),
        }
    }

    fn agent_spec(fleet: &Fleet) -> AgentSpec {
        match spec(fleet, Role::Agent, "h1").unwrap().part {
            Part::Agent(spec) => spec,
            Part::Server(_) | Part::Balancer(_) => panic!("not an agent's spec"),
        }
    }

    #[test]
    fn a_server_is_told_its_balancers_and_the_other_servers() {
        let spec = server_spec(&fleet(3), "s2");
        let peers: Vec<_> = spec.peers.iter().map(|peer| (peer.name.as_str(), peer.address.as_str())).collect();
        assert_eq!(peers, [("s1", "127.0.0.1:7111"), ("s3", "127.0.0.1:7131")]);
        assert_eq!(
            spec.balancers,
            [Peer {
                name: "b1".into(),
                address: "127.0.0.1:7102".into()
            }]
        );
        assert_eq!(
            (spec.listen.as_str(), spec.probe_listen.as_str()),
            ("127.0.0.1:7120", "127.0.0.1:7122")
        );
        assert_eq!(spec.drain, None);
    }

    #[test]
    fn a_draining_server_is_told_to_drain_and_gets_no_new_clients_but_stays_a_peer() {
        let mut fleet = fleet(2);
        fleet.instances[0].goal = Goal::Drain { until: 1, pace: DRAIN };
        assert!(server_spec(&fleet, "s1").drain.is_some());
        assert_eq!(balancer_spec(&fleet).excluded, ["s1"]);
        assert_eq!(server_spec(&fleet, "s2").peers.len(), 1);
        assert_eq!(agent_spec(&fleet).instances.len(), 3);
    }

    #[test]
    fn a_stopping_server_leaves_every_other_spec_and_has_none_itself() {
        let mut fleet = fleet(2);
        fleet.instances[0].goal = Goal::Stop;
        assert!(spec(&fleet, Role::Server, "s1").is_none());
        assert!(server_spec(&fleet, "s2").peers.is_empty());
        assert_eq!(
            agent_spec(&fleet).instances.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(),
            ["s2", "b1"]
        );
        assert_eq!(balancer_spec(&fleet).excluded, ["s1"]);
    }

    #[test]
    fn limits_of_connections_reach_the_balancers() {
        let mut fleet = fleet(2);
        fleet.instances[1].connections_max = 40;
        assert_eq!(balancer_spec(&fleet).connections_max, [("s2".to_owned(), 40)].into());
    }

    #[test]
    fn what_clients_may_take_reaches_servers_and_balancers() {
        let mut fleet = fleet(1);
        fleet.limits.account.connections = 3;
        fleet.limits.blobs.account_bytes_max = 3;
        assert_eq!(server_spec(&fleet, "s1").limits, fleet.limits);
        assert_eq!(balancer_spec(&fleet).limits, fleet.limits);
    }

    #[test]
    fn an_agent_runs_only_what_stands_on_its_host_with_a_token_each() {
        let mut fleet = fleet(1);
        let mut elsewhere = instance(Role::Server, 2);
        elsewhere.host = "h2".into();
        fleet.instances.push(elsewhere);
        let spec = agent_spec(&fleet);
        assert_eq!(spec.instances.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["s1", "b1"]);
        assert_ne!(spec.instances[0].token, spec.instances[1].token);
        assert_eq!(spec.instances[0].control, "http://127.0.0.1:7100");
    }

    #[test]
    fn unknown_processes_have_no_spec() {
        let fleet = fleet(1);
        assert!(spec(&fleet, Role::Server, "s9").is_none());
        assert!(spec(&fleet, Role::Server, "b1").is_none());
        assert!(spec(&fleet, Role::Agent, "elsewhere").is_none());
    }
}
