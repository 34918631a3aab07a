use super::*;
use crate::operation::Target;
use crate::testing::{agent_status, balancer_status, fleet, host, server_status, sightings};
use fastchat_wire::control::{InstanceState, ProcessState, Status, StatusPart};

fn create(name: &str) -> Operation {
    let role = if name.starts_with('s') { Role::Server } else { Role::Balancer };
    Operation::new("op".into(), Kind::Create, Target { role, name: name.into() }, 100, 1_000)
}

fn remove(name: &str) -> Operation {
    Operation {
        kind: Kind::Remove,
        ..create(name)
    }
}

fn goals(edits: &[Edit]) -> Vec<(String, Goal)> {
    let goal = |edit: &Edit| match edit {
        Edit::SetGoal { name, goal } => Some((name.clone(), *goal)),
        _ => None,
    };
    edits.iter().filter_map(goal).collect()
}

fn operations(edits: &[Edit]) -> Vec<&Operation> {
    fn operation(edit: &Edit) -> Option<&Operation> {
        match edit {
            Edit::PutOperation(operation) => Some(operation),
            _ => None,
        }
    }
    edits.iter().filter_map(operation).collect()
}

fn server_with(name: &str, connections: u64, applied_generation: u64) -> Status {
    let mut status = server_status(name, 11);
    status.applied_generation = applied_generation;
    status.state = ProcessState::Draining;
    let StatusPart::Server(part) = &mut status.part else {
        unreachable!("a server's status")
    };
    part.connections = connections;
    status
}

#[test]
fn a_new_process_goes_to_the_host_with_the_fewest_that_is_not_lost() {
    let mut fleet = fleet(1);
    fleet.hosts.extend([host("h2"), host("h3")]);
    let mut seen = sightings([agent_status(&[])]);
    assert_eq!(place(&fleet, &seen, None).unwrap().name, "h2");
    seen.settled = true;
    assert_eq!(place(&fleet, &seen, None).unwrap().name, "h1");
    assert_eq!(place(&fleet, &seen, Some("h2")), Err(NoPlace::HostLost("h2".into())));
    assert_eq!(place(&fleet, &seen, Some("h9")), Err(NoPlace::UnknownHost("h9".into())));
    seen.by_process.clear();
    assert_eq!(place(&fleet, &seen, None), Err(NoPlace::NoHost));
}

#[test]
fn the_ports_of_a_server_follow_its_number() {
    let fleet = fleet(2);
    let server = instance(&fleet, &fleet.hosts[0], Role::Server).unwrap();
    assert_eq!(server.name, "s3");
    assert_eq!(
        (
            server.listen.as_str(),
            server.internal_listen.as_str(),
            server.probe_listen.as_str()
        ),
        ("127.0.0.1:7130", "127.0.0.1:7131", "127.0.0.1:7132")
    );
}

#[test]
fn names_are_never_reused_but_a_port_is_where_the_own_one_is_taken_or_too_high() {
    let mut fleet = fleet(2);
    fleet.ordinals.server = 9;
    let server = instance(&fleet, &fleet.hosts[0], Role::Server).unwrap();
    assert_eq!((server.name.as_str(), server.listen.as_str()), ("s10", "127.0.0.1:7200"));
    fleet.ordinals.server = 100_000;
    let server = instance(&fleet, &fleet.hosts[0], Role::Server).unwrap();
    assert_eq!((server.name.as_str(), server.listen.as_str()), ("s100001", "127.0.0.1:7130"));
}

#[test]
fn a_second_balancer_gets_ports_of_its_own() {
    let mut fleet = fleet(1);
    let second = instance(&fleet, &fleet.hosts[0], Role::Balancer).unwrap();
    assert_eq!((second.name.as_str(), second.listen.as_str()), ("b2", "127.0.0.1:17100"));
    fleet.instances.clear();
    fleet.ordinals.balancer = 0;
    assert_eq!(instance(&fleet, &fleet.hosts[0], Role::Balancer).unwrap().listen, "127.0.0.1:7101");
}

#[test]
fn addresses_of_ipv6_have_brackets() {
    let mut fleet = fleet(0);
    fleet.hosts[0].address = "::1".into();
    assert_eq!(instance(&fleet, &fleet.hosts[0], Role::Server).unwrap().listen, "[::1]:7110");
}

#[test]
fn a_draining_server_stops_once_it_is_empty_and_not_by_counts_of_before() {
    let mut fleet = fleet(2);
    (fleet.instances[0].goal, fleet.instances[0].goal_generation) = (
        Goal::Drain {
            until: 500,
            pace: crate::specs::DRAIN,
        },
        7,
    );
    let at = |status: Status, now: u64| {
        let edits = reconcile(&fleet, &sightings([status]), &[], now);
        goals(&edits)
    };
    assert_eq!(at(server_with("s1", 0, 6), 100), []);
    assert_eq!(at(server_with("s1", 3, 7), 100), []);
    assert_eq!(at(server_with("s1", 0, 7), 100), [("s1".to_owned(), Goal::Stop)]);
    assert_eq!(at(server_with("s1", 3, 7), 500), [("s1".to_owned(), Goal::Stop)]);
}

#[test]
fn a_draining_server_that_does_not_run_stops_at_once_but_a_lost_one_gets_its_time() {
    let mut fleet = fleet(2);
    (fleet.instances[0].goal, fleet.instances[0].goal_generation) = (
        Goal::Drain {
            until: 500,
            pace: crate::specs::DRAIN,
        },
        7,
    );
    let at = |seen: &Sightings| goals(&reconcile(&fleet, seen, &[], 100));
    let crashed = agent_status(&[(Role::Server, "s1", InstanceState::Crashed, None)]);
    assert_eq!(at(&sightings([server_with("s1", 3, 7), crashed])), [("s1".to_owned(), Goal::Stop)]);
    assert_eq!(at(&sightings([agent_status(&[])])), [("s1".to_owned(), Goal::Stop)]);
    assert_eq!(at(&Sightings::default()), []);
    let mut lost = sightings([server_with("s1", 3, 7)]);
    lost.by_process.get_mut(&(Role::Server, "s1".to_owned())).unwrap().silent = true;
    assert_eq!(at(&lost), []);
}

#[test]
fn a_stopped_server_is_gone_and_its_operation_succeeds_after_that() {
    let mut fleet = fleet(2);
    fleet.instances[0].goal = Goal::Stop;
    let seen = sightings([agent_status(&[(Role::Server, "s2", InstanceState::Running, Some(12))])]);
    let edits = reconcile(&fleet, &seen, &[remove("s1")], 100);
    assert_eq!(goals(&edits), [("s1".to_owned(), Goal::Gone)]);
    assert_eq!(operations(&edits)[0].state, OperationState::Running);
    fleet.instances.remove(0);
    let edits = reconcile(&fleet, &seen, &[remove("s1")], 100);
    assert_eq!(operations(&edits)[0].state, OperationState::Succeeded);
}

#[test]
fn a_create_operation_follows_its_server_until_it_is_ready() {
    let fleet = fleet(1);
    let operation = create("s1");
    let step = |operation: &Operation, seen: &Sightings| {
        let edits = reconcile(&fleet, seen, std::slice::from_ref(operation), 200);
        operations(&edits)[0].clone()
    };
    let operation = step(&operation, &sightings([agent_status(&[])]));
    assert_eq!(operation.state, OperationState::Pending);
    let agent = || agent_status(&[(Role::Server, "s1", InstanceState::Running, Some(11))]);
    let operation = step(&operation, &sightings([agent()]));
    assert_eq!(operation.state, OperationState::Running);
    let operation = step(&operation, &sightings([agent(), server_status("s1", 11)]));
    assert_eq!(operation.state, OperationState::Succeeded);
    assert_eq!(
        operation.steps.iter().map(|step| step.state.as_str()).collect::<Vec<_>>(),
        ["requested", "starting", "ready"]
    );
}

#[test]
fn nothing_changes_where_nothing_was_seen_to_change() {
    let fleet = fleet(1);
    let seen = sightings([agent_status(&[])]);
    let edits = reconcile(&fleet, &seen, &[create("s1")], 200);
    assert!(reconcile(&fleet, &seen, &[operations(&edits)[0].clone()], 300).is_empty());
}

#[test]
fn an_overdue_operation_fails_and_says_why_but_not_before_the_processes_could_report() {
    let fleet = fleet(1);
    let mut status = server_status("s1", 11);
    status.state = ProcessState::Starting;
    status.problem = Some("cannot open the database".into());
    let mut seen = sightings([status]);
    let edits = reconcile(&fleet, &seen, &[create("s1")], 5_000);
    assert_eq!(operations(&edits)[0].state, OperationState::Running);
    seen.settled = true;
    let edits = reconcile(&fleet, &seen, &[create("s1")], 5_000);
    let failed = operations(&edits)[0];
    assert_eq!(failed.state, OperationState::Failed);
    assert!(failed.error.as_ref().unwrap().detail.contains("cannot open the database"));
}

#[test]
fn a_create_operation_fails_when_its_server_is_removed_meanwhile() {
    let mut fleet = fleet(1);
    fleet.instances[0].goal = Goal::Stop;
    let edits = reconcile(&fleet, &Sightings::default(), &[create("s1")], 200);
    assert_eq!(operations(&edits)[0].state, OperationState::Failed);
}

#[test]
fn a_balancer_is_created_like_a_server() {
    let edits = reconcile(&fleet(1), &sightings([balancer_status("b1", 9, 1)]), &[create("b1")], 200);
    assert_eq!(operations(&edits)[0].state, OperationState::Succeeded);
}
