//! The registry without a socket or a clock.

mod ejection;
mod joining;

use super::{moves::MOVE_MS_MAX, *};
use crate::strategy::{self, Scene};
use fastchat_wire::control::Balancing;
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

fn reported(connections: u64) -> Reported {
    Reported {
        connections,
        ..Reported::default()
    }
}

fn redeeming(connections: u64, redeemed: &[u64]) -> Reported {
    Reported {
        redeemed: redeemed.to_vec(),
        ..reported(connections)
    }
}

fn attach(registry: &mut Registry, name: &str, connections: u64) -> LinkId {
    registry.attach(0, name, format!("{name}.test:7110"), 1.0, &reported(connections))
}

/// Clients of each candidate.
fn clients(registry: &mut Registry, now: u64) -> Vec<u64> {
    registry.candidates(now, None).iter().map(|candidate| candidate.clients).collect()
}

const MOVE: MoveId = MoveId([7; 16]);

#[test]
fn a_ticket_counts_until_it_is_redeemed_and_as_a_connection_from_then_on() {
    let mut registry = Registry::default();
    let link = attach(&mut registry, "s1", 4);
    assert_eq!(registry.reserve(link.server, 11, 100, None), Some(("s1", "s1.test:7110")));
    assert_eq!(clients(&mut registry, 1), [5]);
    assert_eq!(registry.reserved(link), Some(1));
    registry.load(2, link, &redeeming(5, &[11])).unwrap();
    assert_eq!(clients(&mut registry, 3), [5]);
    assert_eq!(registry.reserved(link), Some(0));
    assert_eq!(registry.totals(), Totals { redeemed: 1, expired: 0 });
}

#[test]
fn a_ticket_that_nobody_uses_counts_until_its_time_is_over() {
    let mut registry = Registry::default();
    let link = attach(&mut registry, "s1", 0);
    registry.reserve(link.server, 11, 100, None);
    assert_eq!(clients(&mut registry, 99), [1]);
    assert_eq!(clients(&mut registry, 100), [0]);
    assert_eq!(registry.totals(), Totals { redeemed: 0, expired: 1 });
}

#[test]
fn a_ticket_is_redeemed_once_and_only_by_the_server_it_is_for() {
    let mut registry = Registry::default();
    let first = attach(&mut registry, "s1", 0);
    let second = attach(&mut registry, "s2", 0);
    registry.reserve(first.server, 11, 100, None);
    registry.load(1, second, &redeeming(0, &[11])).unwrap();
    assert_eq!(registry.reserved(first), Some(1));
    registry.load(1, first, &redeeming(1, &[11, 11])).unwrap();
    registry.load(2, first, &redeeming(1, &[11])).unwrap();
    assert_eq!(clients(&mut registry, 3), [1, 0]);
    assert_eq!(registry.totals().redeemed, 1);
}

#[test]
fn tickets_from_before_a_restart_of_the_balancer_change_nothing() {
    let mut registry = Registry::default();
    let link = registry.attach(0, "s1", "s1.test:7110".into(), 1.0, &redeeming(3, &[1, 2, 3]));
    registry.load(1, link, &redeeming(4, &[4])).unwrap();
    assert_eq!(clients(&mut registry, 2), [4]);
    assert_eq!(registry.totals(), Totals::default());
}

#[test]
fn a_server_whose_link_ended_is_no_candidate_from_then_on() {
    let mut registry = Registry::default();
    let link = attach(&mut registry, "s1", 4);
    attach(&mut registry, "s2", 9);
    registry.detach(link);
    assert_eq!(clients(&mut registry, 1), [9]);
    assert_eq!(registry.load(1, link, &reported(1)), Err(Replaced));
    assert_eq!(registry.attached().len(), 1);
}

#[test]
fn a_link_lost_for_a_moment_loses_no_tickets() {
    let mut registry = Registry::default();
    let link = attach(&mut registry, "s1", 1);
    registry.reserve(link.server, 11, 100, None);
    registry.reserve(link.server, 12, 100, None);
    registry.detach(link);
    let again = registry.attach(5, "s1", "s1.test:7110".into(), 1.0, &redeeming(2, &[11]));
    assert_eq!(again.server, link.server);
    assert_eq!(clients(&mut registry, 6), [3]);
    assert_eq!(registry.reserved(again), Some(1));
}

#[test]
fn a_newer_link_replaces_the_older_whose_end_then_changes_nothing() {
    let mut registry = Registry::default();
    let old = attach(&mut registry, "s1", 1);
    let new = attach(&mut registry, "s1", 2);
    assert_eq!(registry.load(1, old, &reported(99)), Err(Replaced));
    assert_eq!(registry.reserved(old), None);
    registry.detach(old);
    assert_eq!(clients(&mut registry, 1), [2]);
    registry.load(1, new, &reported(3)).unwrap();
    assert_eq!(clients(&mut registry, 1), [3]);
}

#[test]
fn a_server_that_is_gone_is_forgotten_once_its_tickets_are_over() {
    let mut registry = Registry::default();
    let link = attach(&mut registry, "s1", 1);
    registry.reserve(link.server, 11, 100, None);
    registry.detach(link);
    registry.expire(50);
    assert_eq!(registry.servers.len(), 1);
    registry.expire(100);
    assert_eq!(registry.servers.len(), 0);
}

#[test]
fn draining_excluded_and_full_servers_are_no_candidates() {
    let mut registry = Registry::default();
    attach(&mut registry, "drains", 0);
    attach(&mut registry, "excluded", 0);
    let nearly_full = attach(&mut registry, "nearly-full", 9);
    attach(&mut registry, "free", 1_000);
    registry.set_policy(Policy {
        excluded: ["excluded".to_owned()].into(),
        clients_max: [("nearly-full".to_owned(), 10), ("free".to_owned(), 0)].into(),
    });
    let drains = Reported {
        draining: true,
        ..Reported::default()
    };
    registry.attach(0, "drains", "drains.test:1".into(), 1.0, &drains);
    assert_eq!(clients(&mut registry, 1), [9, 1_000]);
    registry.reserve(nearly_full.server, 11, 100, None);
    assert_eq!(clients(&mut registry, 1), [1_000], "a reservation fills a place");
    registry.set_policy(Policy::default());
    assert_eq!(clients(&mut registry, 1), [0, 10, 1_000]);
}

#[test]
fn other_balancers_reservations_count() {
    let mut registry = Registry::default();
    let link = attach(&mut registry, "s1", 4);
    let elsewhere = Reported {
        reserved_elsewhere: 3,
        ..reported(4)
    };
    registry.load(1, link, &elsewhere).unwrap();
    assert_eq!(clients(&mut registry, 1), [7]);
    assert_eq!(registry.reserved(link), Some(0), "what is told to the server is our own");
}

/// s1 with two clients, one of which was asked to move; s2 with none.
fn moving() -> (Registry, LinkId, LinkId) {
    let mut registry = Registry::default();
    let source = attach(&mut registry, "s1", 2);
    let target = attach(&mut registry, "s2", 0);
    let asked = Reported {
        moving: vec![MOVE],
        ..reported(2)
    };
    registry.load(0, source, &asked).unwrap();
    (registry, source, target)
}

#[test]
fn a_client_that_moves_counts_once() {
    let (mut registry, source, target) = moving();
    assert_eq!(clients(&mut registry, 1), [2, 0], "asked: still at its source");
    registry.reserve(target.server, 11, 100, Some(MOVE));
    assert_eq!(clients(&mut registry, 2), [1, 1], "its ticket is out: at its target");
    registry.load(3, target, &redeeming(1, &[11])).unwrap();
    assert_eq!(clients(&mut registry, 4), [1, 1], "connected to both");
    registry.load(5, source, &reported(1)).unwrap();
    assert_eq!(clients(&mut registry, 6), [1, 1], "gone from its source");
    registry.load(7, source, &reported(0)).unwrap();
    assert_eq!(clients(&mut registry, 8), [0, 1], "an ordinary end later");
}

#[test]
fn a_client_that_arrives_as_another_leaves_does_not_hide_the_end() {
    let (mut registry, source, target) = moving();
    registry.reserve(target.server, 11, 100, Some(MOVE));
    registry.load(3, target, &redeeming(1, &[11])).unwrap();
    registry.reserve(source.server, 12, 100, None);
    registry.load(4, source, &redeeming(2, &[12])).unwrap();
    assert_eq!(clients(&mut registry, 5), [2, 1]);
}

#[test]
fn a_moved_client_that_stays_connected_counts_at_its_source_again() {
    let (mut registry, source, target) = moving();
    registry.reserve(target.server, 11, 100, Some(MOVE));
    registry.load(3, target, &redeeming(1, &[11])).unwrap();
    registry.load(4, source, &reported(2)).unwrap();
    assert_eq!(clients(&mut registry, 3 + LEAVE_MS_MAX - 1), [1, 1]);
    assert_eq!(clients(&mut registry, 3 + LEAVE_MS_MAX), [2, 1]);
}

#[test]
fn a_client_whose_ticket_expires_on_the_move_is_at_its_source_still() {
    let (mut registry, _, target) = moving();
    registry.reserve(target.server, 11, 100, Some(MOVE));
    assert_eq!(clients(&mut registry, 100), [2, 0]);
    registry.reserve(target.server, 12, 200, Some(MOVE));
    assert_eq!(clients(&mut registry, 101), [1, 1]);
}

#[test]
fn a_client_that_asks_twice_on_one_move_holds_one_place() {
    let (mut registry, _, target) = moving();
    registry.reserve(target.server, 11, 100, Some(MOVE));
    registry.reserve(target.server, 12, 100, Some(MOVE));
    assert_eq!(clients(&mut registry, 1), [1, 1]);
}

#[test]
fn the_server_that_a_client_leaves_is_no_candidate_for_it() {
    let (mut registry, source, target) = moving();
    let indices: Vec<_> = registry.candidates(1, Some(MOVE)).iter().map(|candidate| candidate.index).collect();
    assert_eq!(indices, [target.server]);
    assert_eq!(
        registry.candidates(1, Some(MoveId([9; 16]))).len(),
        2,
        "an unknown move excludes nobody"
    );
    registry.detach(source);
    attach(&mut registry, "s1", 2);
    assert_eq!(registry.candidates(1, Some(MOVE)).len(), 1, "not after a new link either");
}

#[test]
fn a_move_is_forgotten_after_its_time() {
    let (mut registry, ..) = moving();
    assert_eq!(registry.candidates(MOVE_MS_MAX, Some(MOVE)).len(), 2);
    assert_eq!(registry.servers.values().map(|server| server.moves).sum::<u64>(), 0);
}

/// One step of a fleet's life; a number picks among the servers or clients that there are.
#[derive(Debug, Clone)]
enum Step {
    Assign,
    AssignMoving(usize),
    Arrive(usize),
    Depart(usize),
    AskToMove(usize),
    Report(usize),
    LinkEnds(usize),
    Attach(usize),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Assign),
        1 => any::<usize>().prop_map(Step::AssignMoving),
        3 => any::<usize>().prop_map(Step::Arrive),
        2 => any::<usize>().prop_map(Step::Depart),
        1 => any::<usize>().prop_map(Step::AskToMove),
        3 => any::<usize>().prop_map(Step::Report),
        1 => any::<usize>().prop_map(Step::LinkEnds),
        2 => any::<usize>().prop_map(Step::Attach),
        1 => (0..40u64).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..200)
}

/// A server as it is, beside the registry's view of it.
#[derive(Default)]
struct Real {
    connections: u64,
    redeemed: Vec<u64>,
    moving: Vec<MoveId>,
    link: Option<LinkId>,
}

impl Real {
    fn report(&mut self) -> Reported {
        Reported {
            connections: self.connections,
            redeemed: std::mem::take(&mut self.redeemed),
            moving: std::mem::take(&mut self.moving),
            ..Reported::default()
        }
    }
}

proptest! {
    /// Whatever happens, in whatever order: once all tickets and moves are over
    /// and every server has reported, the registry's counts are the servers'.
    #[test]
    fn counts_come_back_to_the_truth(steps in steps()) {
        let mut registry = Registry::default();
        let mut real: Vec<Real> = (0..3).map(|_| Real::default()).collect();
        let mut tickets: Vec<(u64, ServerIndex)> = Vec::new();
        let mut moves: Vec<MoveId> = Vec::new();
        let (mut now, mut number, mut moves_asked) = (0, 0, 0u8);
        for step in steps {
            now += 1;
            match step {
                Step::Assign | Step::AssignMoving(_) => {
                    let moving = match step {
                        Step::AssignMoving(nth) if !moves.is_empty() => Some(moves[nth % moves.len()]),
                        _ => None,
                    };
                    if let Some(candidate) = registry.candidates(now, moving).iter().min_by_key(|candidate| candidate.clients) {
                        number += 1;
                        registry.reserve(candidate.index, number, now + 20, moving).unwrap();
                        tickets.push((number, candidate.index));
                    }
                }
                Step::Arrive(nth) if !tickets.is_empty() => {
                    let (number, index) = tickets.swap_remove(nth % tickets.len());
                    if let Some(server) = real.iter_mut().find(|server| server.link.is_some_and(|link| link.server == index)) {
                        server.connections += 1;
                        server.redeemed.push(number);
                    }
                }
                Step::Depart(nth) => real[nth % 3].connections = real[nth % 3].connections.saturating_sub(1),
                Step::AskToMove(nth) if real[nth % 3].connections > 0 => {
                    moves_asked = moves_asked.wrapping_add(1);
                    moves.push(MoveId([moves_asked; 16]));
                    real[nth % 3].moving.push(MoveId([moves_asked; 16]));
                }
                Step::Report(nth) => {
                    let server = &mut real[nth % 3];
                    if let Some(link) = server.link {
                        let reported = server.report();
                        registry.load(now, link, &reported).unwrap();
                    }
                }
                Step::LinkEnds(nth) => {
                    if let Some(link) = real[nth % 3].link.take() {
                        registry.detach(link);
                    }
                }
                Step::Attach(nth) => {
                    let reported = real[nth % 3].report();
                    real[nth % 3].link = Some(registry.attach(now, &format!("s{}", nth % 3), "a:1".into(), 1.0, &reported));
                }
                Step::Wait(ms) => now += ms,
                Step::Arrive(_) | Step::AskToMove(_) => {}
            }
            let reserved: u64 = registry.servers.values().map(|server| server.reserved).sum();
            prop_assert_eq!(reserved, registry.reservations.len() as u64);
            let known: u64 = registry.servers.values().map(|server| server.moves).sum();
            prop_assert_eq!(known, registry.moves.len() as u64);
        }
        let end = now + MOVE_MS_MAX + LEAVE_MS_MAX;
        for server in &mut real {
            if let Some(link) = server.link {
                let reported = server.report();
                registry.load(now, link, &reported).unwrap();
            }
        }
        registry.expire(end);
        let mut attached: Vec<_> = real.iter().filter(|server| server.link.is_some()).map(|server| server.connections).collect();
        let mut seen = clients(&mut registry, end);
        attached.sort_unstable();
        seen.sort_unstable();
        prop_assert_eq!(seen, attached);
        prop_assert!(registry.servers.len() <= 3);
    }

    /// The theorem: least-load keeps any two servers within one client of each
    /// other after every arrival, where between any two departures at least one
    /// client arrives. Through reservations, late arrivals and reports: tickets
    /// are redeemed in any order or run out, which is a departure too.
    #[test]
    fn least_load_keeps_any_two_servers_within_one_after_every_arrival(
        servers in 1..6usize,
        steps in proptest::collection::vec((any::<bool>(), any::<usize>(), any::<usize>()), 0..300),
        ticket_ms in 1..40u64,
        seed in any::<u64>(),
    ) {
        let mut registry = Registry::default();
        let mut rng = StdRng::seed_from_u64(seed);
        let (_, mut strategy) = strategy::initial();
        let mut real: Vec<Real> = (0..servers).map(|_| Real::default()).collect();
        for (nth, server) in real.iter_mut().enumerate() {
            server.link = Some(attach(&mut registry, &format!("s{nth}"), 0));
        }
        // Tickets that are out: number, which is when it was issued, and server.
        let mut waiting: Vec<(u64, usize)> = Vec::new();
        for (now, (departs, nth, late)) in (0..).zip(steps) {
            let out = waiting.len();
            waiting.retain(|(number, _)| number + ticket_ms > now);
            let there: Vec<_> = (0..servers).filter(|i| real[*i].connections > 0).collect();
            if departs && waiting.len() == out && !there.is_empty() {
                let server = &mut real[there[nth % there.len()]];
                server.connections -= 1;
                let reported = server.report();
                registry.load(now, server.link.unwrap(), &reported).unwrap();
            }
            let candidates = registry.candidates(now, None);
            let scene = Scene { now, candidates: &candidates, hint: None };
            let picked = strategy.pick(&scene, &mut rng).unwrap();
            registry.reserve(picked, now, now + ticket_ms, None).unwrap();
            let at = real.iter().position(|server| server.link.unwrap().server == picked).unwrap();
            waiting.push((now, at));
            if late % 3 > 0 {
                let (number, at) = waiting.swap_remove(late % waiting.len());
                let server = &mut real[at];
                server.connections += 1;
                server.redeemed.push(number);
                if late % 3 > 1 {
                    let reported = server.report();
                    registry.load(now, server.link.unwrap(), &reported).unwrap();
                }
            }
            // Who has arrived and isn't reported yet is reported before the ticket's time is over.
            for server in &mut real {
                if server.redeemed.iter().any(|number| number + ticket_ms <= now + 1) {
                    let reported = server.report();
                    registry.load(now, server.link.unwrap(), &reported).unwrap();
                }
            }
            let counts: Vec<_> = (0..servers)
                .map(|i| real[i].connections + waiting.iter().filter(|(_, at)| *at == i).count() as u64)
                .collect();
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
        }
    }
}
