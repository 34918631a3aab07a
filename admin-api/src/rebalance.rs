//! Balancing clients that are there already: how many each server gives away. Pure.
//!
//! Shares are those of the weights, whole numbers by the largest remainder
//! (Hamilton's method), within each server's limit. Only what is above its share
//! moves, so no smaller number of moves comes to the same shares. Where they go
//! is the strategy's choice, client by client.

use crate::desired::{Edit, Fleet, Goal, Instance, Rebalance};
use crate::look::{self, State};
use crate::observed::Sightings;
use crate::operation::{Kind, Operation, OperationState, Target};
use crate::problem::Problem;
use fastchat_wire::control::{Role, ServerStatus, Shed, ShedStatus, StatusPart};
use serde::Serialize;
use std::cmp::Reverse;

/// All servers, as an operation's target.
const ALL: &str = "*";
/// Servers say that they are done this long after their deadline at the latest (ms).
const REPORT_MS: u64 = 10_000;

/// What one server has and should have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Share {
    /// The server.
    pub(crate) server: String,
    /// Its clients now.
    pub(crate) clients: u64,
    /// Its share of all of them.
    pub(crate) share: u64,
    /// How many it gives away.
    pub(crate) gives: u64,
    #[serde(skip)]
    weight: f64,
    #[serde(skip)]
    clients_max: u64,
}

/// What the servers that serve have and should have, by ordinal.
pub(crate) fn shares(fleet: &Fleet, seen: &Sightings) -> Vec<Share> {
    let serving = fleet.of_role(Role::Server).filter_map(|server| {
        let look = look::look(seen, server);
        (server.goal == Goal::Run && look.state == State::Ready).then(|| Share {
            server: server.name.clone(),
            clients: look::connections(&look),
            share: 0,
            gives: 0,
            weight: server.weight,
            clients_max: Some(server.connections_max).filter(|max| *max > 0).unwrap_or(u64::MAX),
        })
    });
    let mut servers: Vec<_> = serving.collect();
    divide(&mut servers);
    servers
}

/// Divides all clients by weight.
fn divide(servers: &mut [Share]) {
    let mut left: u64 = servers.iter().map(|server| server.clients).sum();
    let mut open: Vec<&mut Share> = servers.iter_mut().collect();
    // Who would be above its limit gets its limit, and the others share the rest.
    loop {
        let weights: f64 = open.iter().map(|server| server.weight).sum();
        let full = open
            .iter()
            .position(|server| left as f64 * server.weight / weights > server.clients_max as f64);
        let Some(full) = full else { break };
        let server = open.remove(full);
        server.share = server.clients_max;
        left = left.saturating_sub(server.share);
    }
    let weights: f64 = open.iter().map(|server| server.weight).sum();
    let quota = |server: &Share| left as f64 * server.weight / weights;
    for server in &mut open {
        server.share = quota(server).floor() as u64;
    }
    let rest = left.saturating_sub(open.iter().map(|server| server.share).sum());
    // Of equal remainders, to who has most: it gives away one less.
    open.sort_by(|a, b| {
        let remainder = |server: &Share| quota(server).fract();
        remainder(b)
            .total_cmp(&remainder(a))
            .then(Reverse(a.clients).cmp(&Reverse(b.clients)))
    });
    let roomy = open.into_iter().filter(|server| server.share < server.clients_max);
    for server in roomy.take(usize::try_from(rest).unwrap_or(usize::MAX)) {
        server.share += 1;
    }
    for server in servers {
        server.gives = server.clients.saturating_sub(server.share);
    }
}

/// The operation that follows one that begins at `now` (ms since the Unix epoch).
pub(crate) fn operation(rebalance: &Rebalance, now: u64) -> Operation {
    let target = Target {
        role: Role::Server,
        name: ALL.to_owned(),
    };
    let deadline_at = now.saturating_add(rebalance.within_ms).saturating_add(REPORT_MS);
    let new = Operation::new(rebalance.operation.clone(), Kind::Rebalance, target, now, deadline_at);
    let state = if rebalance.gives.is_empty() {
        OperationState::Succeeded
    } else {
        OperationState::Running
    };
    Operation { state, ..new }
}

/// What one server is told of it.
pub(crate) fn shed(fleet: &Fleet, server: &Instance) -> Option<Shed> {
    let rebalance = fleet.rebalance.as_ref().filter(|_| server.goal == Goal::Run)?;
    let clients = *rebalance.gives.get(&server.name)?;
    let all: u64 = rebalance.gives.values().sum();
    let part = u64::from(rebalance.clients_per_s).saturating_mul(clients) / all.max(1);
    Some(Shed {
        id: rebalance.operation.clone(),
        clients,
        clients_per_s: u32::try_from(part).unwrap_or(u32::MAX).max(1),
        within_ms: rebalance.within_ms,
        cool_down_ms: rebalance.cool_down_ms,
    })
}

/// Ends it, where it is over at `now`.
pub(crate) fn progress(fleet: &Fleet, seen: &Sightings, open: &[Operation], now: u64) -> Vec<Edit> {
    let Some(rebalance) = &fleet.rebalance else { return Vec::new() };
    let Some(operation) = open.iter().find(|operation| operation.id == rebalance.operation) else {
        return vec![Edit::SetRebalance(None)];
    };
    let gives = rebalance.gives.keys().filter_map(|name| fleet.instance(Role::Server, name));
    let giving: Vec<_> = gives
        .filter(|server| server.goal == Goal::Run && status(seen, server, &operation.id).is_none_or(|shed| !shed.done))
        .map(|server| server.name.as_str())
        .collect();
    let failed = (!giving.is_empty()).then(|| {
        let detail = format!(
            "{} did not say in time that all its clients have moved; ask again for what is left",
            giving.join(", ")
        );
        Problem::timeout(detail)
    });
    if failed.is_some() && now < operation.deadline_at {
        return Vec::new();
    }
    vec![Edit::SetRebalance(None), Edit::PutOperation(ended(operation, failed, now))]
}

fn status<'a>(seen: &'a Sightings, server: &Instance, id: &str) -> Option<&'a ShedStatus> {
    match &seen.of(Role::Server, &server.name)?.status.part {
        StatusPart::Server(ServerStatus { shed, .. }) => shed.as_ref().filter(|shed| shed.id == id),
        StatusPart::Balancer(_) | StatusPart::Agent(_) => None,
    }
}

/// It, at its end.
pub(crate) fn ended(operation: &Operation, failed: Option<Problem>, now: u64) -> Operation {
    Operation {
        state: failed.as_ref().map_or(OperationState::Succeeded, |_| OperationState::Failed),
        error: failed,
        updated_at: now,
        ..operation.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fleet, server_status, sightings};
    use fastchat_wire::control::Status;

    fn server(clients: u64, weight: f64, clients_max: u64) -> Share {
        Share {
            server: String::new(),
            clients,
            share: 0,
            gives: 0,
            weight,
            clients_max,
        }
    }

    /// Shares and gives of servers without limits.
    fn divided(servers: &[(u64, f64)]) -> Vec<(u64, u64)> {
        let mut servers: Vec<_> = servers
            .iter()
            .map(|(clients, weight)| server(*clients, *weight, u64::MAX))
            .collect();
        divide(&mut servers);
        servers.iter().map(|server| (server.share, server.gives)).collect()
    }

    #[test]
    fn a_new_server_gets_its_share_of_all() {
        assert_eq!(divided(&[(300, 1.0), (300, 1.0), (0, 1.0)]), [(200, 100), (200, 100), (200, 0)]);
        assert_eq!(divided(&[(300, 1.0), (300, 1.0), (0, 2.0)]), [(150, 150), (150, 150), (300, 0)]);
        assert_eq!(divided(&[]), []);
        assert_eq!(divided(&[(7, 1.0)]), [(7, 0)]);
    }

    #[test]
    fn nobody_moves_for_what_does_not_divide() {
        assert_eq!(divided(&[(3, 1.0), (3, 1.0), (4, 1.0)]), [(3, 0), (3, 0), (4, 0)]);
        assert_eq!(divided(&[(1, 1.0), (0, 1.0)]), [(1, 0), (0, 0)]);
    }

    #[test]
    fn nobody_gets_more_than_its_limit() {
        let mut servers = [server(100, 1.0, u64::MAX), server(0, 1.0, 10), server(0, 1.0, u64::MAX)];
        divide(&mut servers);
        assert_eq!(servers.map(|server| (server.share, server.gives)), [(45, 55), (10, 0), (45, 0)]);
    }

    proptest::proptest! {
        #[test]
        fn shares_add_up_and_are_within_one_of_fair(
            servers in proptest::collection::vec((0_u64..10_000, 0.001_f64..1_000.0), 1..20),
        ) {
            let (clients, weights) = servers.iter().fold((0, 0.0), |(c, w), server| (c + server.0, w + server.1));
            let divided = divided(&servers);
            proptest::prop_assert_eq!(divided.iter().map(|(share, _)| share).sum::<u64>(), clients);
            for ((had, weight), (share, gives)) in servers.iter().zip(divided) {
                let fair = clients as f64 * weight / weights;
                proptest::prop_assert!((share as f64 - fair).abs() <= 1.0 + 1e-6);
                proptest::prop_assert_eq!(gives, had.saturating_sub(share));
            }
        }
    }

    fn rebalancing() -> (Fleet, Operation) {
        let mut fleet = fleet(3);
        let rebalance = Rebalance {
            operation: "op".into(),
            gives: [("s1".to_owned(), 30), ("s2".to_owned(), 1)].into(),
            clients_per_s: 10,
            within_ms: 5_000,
            cool_down_ms: 60_000,
        };
        let operation = operation(&rebalance, 100);
        fleet.rebalance = Some(rebalance);
        (fleet, operation)
    }

    fn shedding(name: &str, id: &str, done: bool) -> Status {
        let mut status = server_status(name, 1);
        if let StatusPart::Server(part) = &mut status.part {
            part.shed = Some(ShedStatus {
                id: id.into(),
                done,
                ..ShedStatus::default()
            });
        }
        status
    }

    #[test]
    fn the_servers_divide_the_rate_and_each_asks_somebody() {
        let (mut fleet, _) = rebalancing();
        let rates = |fleet: &Fleet| -> Vec<_> {
            let servers = fleet.of_role(Role::Server);
            servers.map(|server| shed(fleet, server).map(|shed| shed.clients_per_s)).collect()
        };
        assert_eq!(rates(&fleet), [Some(9), Some(1), None]);
        fleet.instances[0].goal = Goal::Stop;
        assert_eq!(rates(&fleet), [None, Some(1), None], "who ends gives nothing");
    }

    #[test]
    fn it_ends_when_all_are_done_and_fails_after_its_deadline() {
        let (fleet, operation) = rebalancing();
        let open = [operation];
        let end = |seen: &Sightings, now| match progress(&fleet, seen, &open, now).as_slice() {
            [Edit::SetRebalance(None), Edit::PutOperation(ended)] => Some(ended.state),
            [] => None,
            other => panic!("{other:?}"),
        };
        let half = sightings([shedding("s1", "op", true), shedding("s2", "op", false)]);
        assert_eq!(end(&half, 200), None);
        assert_eq!(
            end(&sightings([shedding("s1", "op", true), shedding("s2", "before", true)]), 200),
            None
        );
        assert_eq!(end(&half, 100 + 5_000 + REPORT_MS), Some(OperationState::Failed));
        let all = sightings([shedding("s1", "op", true), shedding("s2", "op", true)]);
        assert_eq!(end(&all, 200), Some(OperationState::Succeeded));
    }
}
