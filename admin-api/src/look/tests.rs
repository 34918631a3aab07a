use super::*;
use crate::testing::{agent_status, balancer_status, fleet, server_status, sightings};
use crate::view::{balancing, host, server};
use fastchat_wire::control::Role;

fn state(seen: &Sightings) -> State {
    let fleet = fleet(1);
    server(&fleet, seen, &fleet.instances[0]).process.state
}

fn agent_sees(state: InstanceState, pid: Option<u32>) -> fastchat_wire::control::Status {
    agent_status(&[(Role::Server, "s1", state, pid)])
}

fn silence(seen: &mut Sightings, role: Role, name: &str) {
    seen.by_process.get_mut(&(role, name.to_owned())).unwrap().silent = true;
}

#[test]
fn a_server_is_requested_until_its_agent_starts_it_and_ready_by_its_own_word() {
    assert_eq!(state(&Sightings::default()), State::Requested);
    assert_eq!(state(&sightings([agent_status(&[])])), State::Requested);
    assert_eq!(state(&sightings([agent_sees(InstanceState::Running, Some(11))])), State::Starting);
    assert_eq!(
        state(&sightings([agent_sees(InstanceState::Running, Some(11)), server_status("s1", 11)])),
        State::Ready
    );
}

#[test]
fn a_crashed_server_is_crashed_whatever_it_said_before() {
    let fleet = fleet(1);
    let seen = sightings([server_status("s1", 11), agent_sees(InstanceState::Crashed, None)]);
    let view = server(&fleet, &seen, &fleet.instances[0]);
    assert_eq!((view.process.state, view.process.pid), (State::Crashed, None));
}

#[test]
fn a_restarted_server_is_not_ready_by_the_word_of_the_process_before_it() {
    let fleet = fleet(1);
    let seen = sightings([server_status("s1", 11), agent_sees(InstanceState::Running, Some(12))]);
    let view = server(&fleet, &seen, &fleet.instances[0]);
    assert_eq!((view.process.state, view.process.pid), (State::Starting, Some(12)));
    let seen = sightings([agent_sees(InstanceState::Running, Some(11)), server_status("s1", 12)]);
    let view = server(&fleet, &seen, &fleet.instances[0]);
    assert_eq!((view.process.state, view.process.pid), (State::Ready, Some(12)));
}

#[test]
fn a_silent_server_is_lost_but_a_silent_agent_alone_loses_nobody() {
    let statuses = || [agent_sees(InstanceState::Running, Some(11)), server_status("s1", 11)];
    let mut seen = sightings(statuses());
    silence(&mut seen, Role::Server, "s1");
    assert_eq!(state(&seen), State::Lost);
    let mut seen = sightings(statuses());
    silence(&mut seen, Role::Agent, "h1");
    assert_eq!(state(&seen), State::Ready);
    let fleet = fleet(1);
    assert_eq!(host(&fleet, &seen, &fleet.hosts[0]).state, HostState::Lost);
}

#[test]
fn nobody_is_lost_until_the_control_plane_has_listened_long_enough() {
    let mut seen = Sightings::default();
    assert_eq!(host_state(&seen, "h1"), HostState::Joining);
    seen.settled = true;
    assert_eq!(host_state(&seen, "h1"), HostState::Lost);
    assert_eq!(state(&seen), State::Lost);
}

#[test]
fn a_stopping_server_has_stopped_only_by_the_word_of_an_agent_that_knows() {
    let mut fleet = fleet(1);
    fleet.instances[0].goal = Goal::Stop;
    fleet.instances[0].goal_generation = 7;
    let look = |seen: &Sightings| look(seen, &fleet.instances[0]).state;
    assert_eq!(look(&Sightings::default()), State::Stopping);
    assert_eq!(look(&sightings([agent_sees(InstanceState::Running, Some(11))])), State::Stopping);
    assert_eq!(look(&sightings([agent_sees(InstanceState::Stopped, None)])), State::Stopped);
    assert_eq!(look(&sightings([agent_status(&[])])), State::Stopped);
    let mut unaware = agent_status(&[]);
    unaware.applied_generation = 6;
    assert_eq!(look(&sightings([unaware])), State::Stopping);
}

#[test]
fn the_balancing_document_says_how_far_each_balancer_is() {
    let fleet = fleet(1);
    let at = |seen: &Sightings| balancing(&fleet, seen).balancers[0].applied_generation;
    assert_eq!(at(&Sightings::default()), 0);
    assert_eq!(at(&sightings([balancer_status("b1", 9, 4)])), 4);
}
