//! The ports that the fleet will need: none used twice, all free, before anything starts.

use crate::data::{DataFolder, holder};
use crate::desired::{Fleet, Goal, Host, Instance};
use crate::plan;
use anyhow::{anyhow, bail};
use fastchat_wire::control::Role;
use std::net::{IpAddr, SocketAddr, TcpListener};

/// A port and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needed {
    /// Where.
    pub(super) address: SocketAddr,
    /// What for, for people.
    pub(super) what: String,
    /// The instance; its own process may hold it already.
    pub(super) owner: Option<String>,
}

/// All of them, of what exists and what will be added.
///
/// # Errors
/// Two are the same, or there are too few.
pub(super) fn needed(fleet: &Fleet, host: &Host, admin: SocketAddr, servers: usize) -> anyhow::Result<Vec<Needed>> {
    let internal: IpAddr = host.internal_address.parse()?;
    let probes = SocketAddr::new(internal, host.probe_port);
    let mut needed = vec![
        Needed {
            address: admin,
            what: "the control plane (--admin-listen)".into(),
            owner: None,
        },
        Needed {
            address: probes,
            what: "the agent's probes (4 above --admin-listen)".into(),
            owner: None,
        },
    ];
    for instance in instances(fleet, host, servers)? {
        let kind = if instance.role == Role::Server { "bus" } else { "server links" };
        for (address, part) in [
            (&instance.listen, "clients"),
            (&instance.internal_listen, kind),
            (&instance.probe_listen, "probes"),
        ] {
            needed.push(Needed {
                address: address.parse()?,
                what: format!("{part} of {}", instance.name),
                owner: Some(instance.name.clone()),
            });
        }
    }
    for (index, one) in needed.iter().enumerate() {
        if let Some(other) = needed[..index].iter().find(|other| other.address.port() == one.address.port()) {
            bail!(
                "port {} is needed for {} and for {}; give other --admin-listen, --balancer-listen or --server-port-base",
                one.address.port(),
                other.what,
                one.what
            );
        }
    }
    Ok(needed)
}

/// The instances of this host as they will be.
fn instances(fleet: &Fleet, host: &Host, servers: usize) -> anyhow::Result<Vec<Instance>> {
    let mut fleet = fleet.clone();
    let add = |fleet: &mut Fleet, role: Role| {
        let instance = plan::instance(fleet, host, role).map_err(|error| anyhow!(error))?;
        let port = match role {
            Role::Balancer => u64::from(host.balancer_port),
            Role::Server | Role::Agent => u64::from(host.server_port_base) + plan::STRIDE * (instance.ordinal - 1),
        };
        // Over REST it may go elsewhere; here the operator counts on the ports that the options say.
        if !instance.listen.ends_with(&format!(":{port}")) {
            bail!(
                "{} can't have the ports from {port} on: another process of this fleet has some of them; give other --admin-listen, --balancer-listen or --server-port-base",
                instance.name
            );
        }
        match role {
            Role::Balancer => fleet.ordinals.balancer = instance.ordinal,
            Role::Server | Role::Agent => fleet.ordinals.server = instance.ordinal,
        }
        fleet.instances.push(instance);
        anyhow::Ok(())
    };
    let running = |fleet: &Fleet, role: Role| fleet.of_role(role).filter(|instance| instance.goal == Goal::Run).count();
    if running(&fleet, Role::Balancer) == 0 {
        add(&mut fleet, Role::Balancer)?;
    }
    while running(&fleet, Role::Server) < servers {
        add(&mut fleet, Role::Server)?;
    }
    Ok(fleet.instances.into_iter().filter(|instance| instance.host == host.name).collect())
}

/// Checks that nobody else has them.
///
/// # Errors
/// Somebody has.
pub(super) fn check_free(needed: &[Needed], data: &DataFolder) -> anyhow::Result<()> {
    for Needed { address, what, owner } in needed {
        let adopted = owner
            .as_ref()
            .is_some_and(|name| holder(&data.processes().join(name).join("lock")).is_some());
        if adopted {
            continue;
        }
        if let Err(error) = TcpListener::bind(address) {
            bail!("can't listen on {address} for {what}: {error}; end what holds it, or give other ports (see --help)");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fleet, host};

    fn admin() -> SocketAddr {
        "127.0.0.1:7100".parse().unwrap()
    }

    #[test]
    fn a_new_fleet_needs_the_ports_of_the_contract() {
        let mut fleet = fleet(0);
        fleet.instances.clear();
        fleet.ordinals = crate::desired::Ordinals::default();
        let needed = needed(&fleet, &host("h1"), admin(), 3).unwrap();
        let ports: Vec<u16> = needed.iter().map(|needed| needed.address.port()).collect();
        assert_eq!(
            ports,
            [7100, 7104, 7101, 7102, 7103, 7110, 7111, 7112, 7120, 7121, 7122, 7130, 7131, 7132]
        );
    }

    #[test]
    fn ports_that_run_into_each_other_are_refused_before_anything_starts() {
        let mut fleet = fleet(0);
        fleet.instances.clear();
        let mut host = host("h1");
        host.balancer_port = 7102;
        let error = needed(&fleet, &host, admin(), 1).unwrap_err().to_string();
        assert!(error.contains("b2") && error.contains("7102"), "{error}");
        host.balancer_port = 7109;
        let error = needed(&fleet, &host, admin(), 1).unwrap_err().to_string();
        assert!(error.contains("s1") && error.contains("7110"), "{error}");
    }

    #[test]
    fn a_folder_that_is_continued_keeps_its_servers_and_adds_what_is_missing() {
        let ports = |servers: usize| needed(&fleet(2), &host("h1"), admin(), servers).unwrap().len();
        assert_eq!(ports(1), ports(2));
        assert_eq!(ports(3), ports(2) + 3);
    }

    #[test]
    fn a_port_that_is_needed_twice_is_named_with_both_uses() {
        let admin = "127.0.0.1:7121".parse().unwrap();
        let error = needed(&fleet(2), &host("h1"), admin, 2).unwrap_err().to_string();
        assert!(
            error.contains("7121") && error.contains("control plane") && error.contains("bus of s2"),
            "{error}"
        );
    }

    #[test]
    fn a_port_that_somebody_has_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::open(folder.path()).unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let needed = [Needed {
            address: taken.local_addr().unwrap(),
            what: "clients of s1".into(),
            owner: Some("s1".into()),
        }];
        let error = check_free(&needed, &data).unwrap_err().to_string();
        assert!(error.contains("clients of s1") && error.contains("give other ports"), "{error}");
        let _lock = crate::data::Lock::take(&data.process("s1").unwrap().join("lock")).unwrap().unwrap();
        assert!(check_free(&needed, &data).is_ok());
    }
}
