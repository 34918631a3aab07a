//! Servers out of their clients' reach, and those who would like others to think so.

use super::*;

const TICKET_MS: u64 = 10_000;

/// Clients that take tickets, of whom some come.
struct Fleet {
    registry: Registry,
    links: Vec<LinkId>,
    now: u64,
    tickets: u64,
}

impl Fleet {
    fn new(servers: usize) -> Self {
        let mut registry = Registry::default();
        let links = (1..=servers).map(|nth| attach(&mut registry, &format!("s{nth}"), 0)).collect();
        Self {
            registry,
            links,
            now: 0,
            tickets: 0,
        }
    }

    /// Somebody at that address takes a ticket for a server; a number that can be redeemed.
    fn takes(&mut self, server: usize, address: u128) -> u64 {
        self.tickets += 1;
        self.registry.expire(self.now);
        self.registry
            .reserve(self.links[server].server, self.tickets, self.now + TICKET_MS, None)
            .unwrap();
        self.registry.hold(self.tickets, HolderKey(address));
        self.tickets
    }

    fn arrives(&mut self, server: usize, ticket: u64) {
        self.registry.load(self.now, self.links[server], &redeeming(1, &[ticket])).unwrap();
    }

    /// Somebody comes to a server.
    fn visit(&mut self, server: usize) {
        let ticket = self.takes(server, 999);
        self.arrives(server, ticket);
    }

    fn later(&mut self, ms: u64) {
        self.now += ms;
        self.registry.expire(self.now);
    }

    /// Positions of the servers that get clients.
    fn candidates(&mut self) -> Vec<usize> {
        let candidates = self.registry.candidates(self.now, None);
        let position = |candidate: &Candidate| self.links.iter().position(|link| link.server == candidate.index).unwrap();
        candidates.iter().map(position).collect()
    }

    /// So many addresses take tickets for a server and never come, while others arrive at the first server.
    fn attack(&mut self, server: usize, addresses: u128) {
        for address in 0..addresses {
            self.takes(server, address);
        }
        self.later(1);
        self.visit(0);
        self.later(TICKET_MS);
    }
}

#[test]
fn a_server_at_which_nobody_arrives_gets_no_clients_for_a_while() {
    let mut fleet = Fleet::new(3);
    fleet.attack(2, 4);
    assert_eq!(fleet.candidates(), [0, 1, 2], "four addresses are too few");
    fleet.attack(2, 5);
    assert_eq!(fleet.candidates(), [0, 1]);
    assert_eq!(fleet.registry.ejected(), ["s3"]);
    fleet.later(4_999);
    assert_eq!(fleet.candidates(), [0, 1]);
    fleet.later(1);
    assert_eq!(fleet.candidates(), [0, 1, 2]);
}

#[test]
fn each_time_it_takes_twice_as_long_up_to_a_limit_and_an_arrival_ends_it() {
    let mut fleet = Fleet::new(3);
    for ms in [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000] {
        fleet.attack(2, 5);
        fleet.later(ms - 1);
        assert_eq!(fleet.candidates(), [0, 1], "{ms}");
        fleet.later(1);
        assert_eq!(fleet.candidates(), [0, 1, 2], "{ms}");
    }
    fleet.attack(2, 5);
    let late = fleet.takes(2, 7);
    fleet.arrives(2, late);
    assert_eq!(fleet.candidates(), [0, 1, 2], "somebody did arrive");
    fleet.attack(2, 5);
    fleet.later(5_000);
    assert_eq!(fleet.candidates(), [0, 1, 2], "and it starts anew");
}

#[test]
fn one_address_counts_once_however_many_tickets_it_takes() {
    let mut fleet = Fleet::new(3);
    for _ in 0..20 {
        for address in 0..4 {
            for _ in 0..10 {
                fleet.takes(2, address);
            }
        }
        fleet.later(1);
        fleet.visit(0);
        fleet.later(TICKET_MS);
        assert_eq!(fleet.candidates(), [0, 1, 2]);
    }
}

#[test]
fn all_exempt_addresses_count_as_one() {
    let mut fleet = Fleet::new(3);
    for number in 1_000..1_100 {
        let expires_at = fleet.now + TICKET_MS;
        fleet.registry.reserve(fleet.links[2].server, number, expires_at, None).unwrap();
    }
    fleet.later(1);
    fleet.visit(0);
    fleet.later(TICKET_MS);
    assert_eq!(fleet.candidates(), [0, 1, 2]);
}

/// The attacker has a thousand addresses; one honest client in ten seconds comes to the server that he dislikes.
#[test]
fn an_attacker_cannot_eject_a_server_that_clients_reach() {
    let mut fleet = Fleet::new(3);
    for _ in 0..30 {
        fleet.visit(0);
        for address in 0..1_000 {
            fleet.takes(2, address);
        }
        fleet.later(TICKET_MS / 2);
        fleet.visit(2);
        fleet.later(TICKET_MS / 2);
        assert_eq!(fleet.candidates(), [0, 1, 2]);
    }
}

#[test]
fn an_attacker_on_all_servers_at_once_ejects_a_third_at_most_and_the_rest_serves() {
    for (servers, at_most) in [(1, 0), (2, 0), (3, 1), (5, 1), (6, 2), (20, 6)] {
        let mut fleet = Fleet::new(servers);
        for server in 1..servers {
            for address in 0..50 {
                fleet.takes(server, address);
            }
        }
        fleet.later(1);
        fleet.visit(0);
        fleet.later(TICKET_MS);
        assert_eq!(fleet.candidates().len(), servers - at_most, "of {servers}");
    }
}

#[test]
fn where_nobody_arrives_anywhere_it_is_not_the_server() {
    let mut fleet = Fleet::new(3);
    fleet.visit(0);
    fleet.later(1);
    for server in 0..3 {
        for address in 0..20 {
            fleet.takes(server, address);
        }
    }
    fleet.later(TICKET_MS);
    assert_eq!(fleet.candidates(), [0, 1, 2]);
}

#[test]
fn the_last_that_takes_clients_takes_them_ejected_or_not() {
    let mut fleet = Fleet::new(3);
    fleet.attack(2, 5);
    assert_eq!(fleet.candidates(), [0, 1]);
    fleet.registry.set_policy(Policy {
        excluded: ["s1".to_owned(), "s2".to_owned()].into(),
        ..Policy::default()
    });
    assert_eq!(fleet.candidates(), [2]);
}

#[test]
fn when_others_go_the_ejected_come_back_so_that_they_stay_a_third() {
    let mut fleet = Fleet::new(6);
    fleet.attack(4, 5);
    fleet.attack(5, 5);
    // The first of them is over by now: once more.
    fleet.attack(4, 5);
    assert_eq!(fleet.registry.ejected(), ["s5"]);
    fleet.registry.detach(fleet.links[1]);
    fleet.registry.detach(fleet.links[2]);
    fleet.registry.detach(fleet.links[3]);
    assert_eq!(fleet.registry.ejected(), ["s5"], "one of three");
    fleet.registry.detach(fleet.links[5]);
    assert_eq!(fleet.registry.ejected(), Vec::<String>::new(), "none of two");
}

#[test]
fn who_moves_and_stays_after_all_says_nothing_of_the_server() {
    let mut fleet = Fleet::new(3);
    let moves: Vec<_> = (0..20u8).map(|nth| MoveId([nth; 16])).collect();
    let asked = Reported {
        moving: moves.clone(),
        ..reported(20)
    };
    fleet.registry.load(0, fleet.links[0], &asked).unwrap();
    for (number, id) in (100..).zip(moves) {
        fleet.registry.reserve(fleet.links[2].server, number, TICKET_MS, Some(id)).unwrap();
        fleet.registry.hold(number, HolderKey(number.into()));
    }
    fleet.later(1);
    fleet.visit(1);
    fleet.later(TICKET_MS);
    assert_eq!(fleet.candidates(), [0, 1, 2]);
}
