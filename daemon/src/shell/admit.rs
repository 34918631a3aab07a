//! Which specs are taken: those of the same store and a newer generation. Pure.

use fastchat_wire::control::{Part, Role, Spec};

/// What becomes of a spec.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the newest: take it.
    Take,
    /// It is the one in force.
    Same,
    /// It isn't for this process, or not newer; why, for people.
    Ignore(String),
}

/// Judges a spec for the process `role`/`name` that has `current` in force.
pub(super) fn admit(current: Option<&Spec>, next: &Spec, role: Role, name: &str) -> Verdict {
    let (its_role, its_name) = owner(next);
    if (its_role, its_name) != (role, name) {
        return Verdict::Ignore(format!("the spec is for {its_role} {its_name}, this is {role} {name}"));
    }
    let Some(current) = current else {
        return Verdict::Take;
    };
    if next.store != current.store {
        return Verdict::Ignore(format!(
            "the spec is of store {}, the one in force of store {}; to change over to the other store end the process and remove its spec.json",
            next.store, current.store
        ));
    }
    if next.generation < current.generation {
        return Verdict::Ignore(format!(
            "the spec has generation {}, the one in force {}",
            next.generation, current.generation
        ));
    }
    if next.generation > current.generation {
        return Verdict::Take;
    }
    if next.part == current.part {
        Verdict::Same
    } else {
        Verdict::Ignore(format!(
            "the spec differs from the one in force, but both have generation {}; a change needs a higher one",
            next.generation
        ))
    }
}

fn owner(spec: &Spec) -> (Role, &str) {
    match &spec.part {
        Part::Server(part) => (Role::Server, &part.name),
        Part::Balancer(part) => (Role::Balancer, &part.name),
        Part::Agent(part) => (Role::Agent, &part.host),
    }
}

/// Where the spec says that the probes listen.
pub(super) fn probe_listen(spec: &Spec) -> &str {
    match &spec.part {
        Part::Server(part) => &part.probe_listen,
        Part::Balancer(part) => &part.probe_listen,
        Part::Agent(part) => &part.probe_listen,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use fastchat_wire::control::AgentSpec;

    /// A host's spec for tests.
    pub(in super::super) fn spec(store: &str, generation: u64, host: &str) -> Spec {
        Spec {
            store: store.into(),
            generation,
            part: Part::Agent(AgentSpec {
                host: host.into(),
                probe_listen: "127.0.0.1:0".into(),
                instances: Vec::new(),
            }),
        }
    }

    #[test]
    fn only_a_newer_generation_of_the_same_store_is_taken() {
        let current = spec("a", 5, "h");
        let judge = |next: &Spec| admit(Some(&current), next, Role::Agent, "h");
        assert_eq!(judge(&spec("a", 6, "h")), Verdict::Take);
        assert_eq!(judge(&spec("a", 5, "h")), Verdict::Same);
        assert!(matches!(judge(&spec("a", 4, "h")), Verdict::Ignore(_)), "older");
        assert!(matches!(judge(&spec("b", 6, "h")), Verdict::Ignore(_)), "of another store");
    }

    #[test]
    fn the_first_spec_is_taken_whatever_its_generation() {
        assert_eq!(admit(None, &spec("a", 1, "h"), Role::Agent, "h"), Verdict::Take);
    }

    #[test]
    fn another_process_s_spec_is_never_taken() {
        assert!(matches!(admit(None, &spec("a", 1, "h"), Role::Agent, "g"), Verdict::Ignore(_)));
        assert!(matches!(admit(None, &spec("a", 1, "h"), Role::Server, "h"), Verdict::Ignore(_)));
    }

    #[test]
    fn a_change_without_a_new_generation_is_not_taken() {
        let (mut next, current) = (spec("a", 5, "h"), spec("a", 5, "h"));
        if let Part::Agent(part) = &mut next.part {
            part.probe_listen = "127.0.0.1:1".into();
        }
        assert!(matches!(admit(Some(&current), &next, Role::Agent, "h"), Verdict::Ignore(_)));
    }
}
