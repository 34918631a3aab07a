//! What the spec wants of this host, checked. Pure.

use super::reconcile::Wanted;
use crate::config::valid_name;
use fastchat_wire::control::{AgentSpec, InstanceSpec, Role};
use std::collections::BTreeMap;

/// What the spec wants of this host.
#[derive(Debug, Default)]
pub(super) struct Desired {
    /// Generation of the spec.
    pub(super) generation: u64,
    /// The instances that should run, as the plan needs them.
    pub(super) wanted: BTreeMap<String, Wanted>,
    /// The same, as the launcher needs them.
    pub(super) instances: BTreeMap<String, InstanceSpec>,
    /// What of the spec can't be done.
    pub(super) problem: Option<String>,
}

impl Desired {
    /// Reads a spec; instances that can't be run here are left out, and told of.
    pub(super) fn read(generation: u64, spec: &AgentSpec) -> Self {
        let mut desired = Self {
            generation,
            ..Self::default()
        };
        for instance in &spec.instances {
            let name = &instance.name;
            // A name becomes a folder; the agent's own folder isn't an instance's.
            if instance.role == Role::Agent || !valid_name(name) || *name == spec.host || desired.wanted.contains_key(name) {
                let problem = format!(
                    "the spec's instance {name:?} ({}) can't be run by an agent named {:?}",
                    instance.role, spec.host
                );
                tracing::error!(problem);
                desired.problem = Some(problem);
                continue;
            }
            let wanted = Wanted {
                role: instance.role,
                epoch: instance.epoch,
            };
            desired.wanted.insert(name.clone(), wanted);
            desired.instances.insert(name.clone(), instance.clone());
        }
        desired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::Secret;

    #[test]
    fn an_instance_that_cannot_be_run_here_is_left_out_and_named() {
        let instance = |name: &str, role| InstanceSpec {
            name: name.into(),
            role,
            token: Secret::new("t".into()),
            control: "http://127.0.0.1:9".into(),
            epoch: 7,
        };
        for (name, role) in [
            ("../../etc", Role::Server),
            ("", Role::Server),
            ("h1", Role::Server),
            ("s1", Role::Server),
            ("h2", Role::Agent),
        ] {
            let desired = Desired::read(
                3,
                &AgentSpec {
                    host: "h1".into(),
                    probe_listen: "127.0.0.1:0".into(),
                    instances: vec![instance("s1", Role::Balancer), instance(name, role)],
                },
            );
            assert_eq!(desired.wanted.keys().collect::<Vec<_>>(), ["s1"], "{name:?}");
            assert_eq!(
                desired.wanted["s1"],
                Wanted {
                    role: Role::Balancer,
                    epoch: 7
                }
            );
            assert!(desired.problem.unwrap().contains(&format!("instance {name:?}")));
        }
    }
}
