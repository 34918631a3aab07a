//! What servers notice, and what clients notice of servers.

use super::{
    peer::{framed, load},
    *,
};
use fastchat_wire::{
    Code, MoveId, Secret,
    chat::{assign::Assign, ping::Ping},
    limits::INTEGER_MAX,
    link::{attach::Attach, load::Load},
};

#[tokio::test]
async fn a_server_whose_link_ends_is_no_candidate_at_once() {
    let mut balancer = Balancer::start("least-load").await;
    let _s1 = balancer.server("s1", 9).await;
    let s2 = balancer.server("s2", 0).await;
    let mut client = balancer.client().await;
    assert_eq!(client.assign().await.server, "s2");
    drop(s2);
    balancer.reported(|_, status| status.servers.len() == 1).await;
    for _ in 0..20 {
        assert_eq!(client.assign().await.server, "s1");
    }
}

#[tokio::test]
async fn a_silent_link_is_dead() {
    let limits = Limits {
        link_silence: Duration::from_millis(500),
        ..limits()
    };
    let mut balancer = Balancer::start_with("least-load", limits).await;
    let mut s1 = balancer.server("s1", 0).await;
    s1.expect_end().await;
    balancer.reported(|_, status| status.servers.is_empty()).await;
    let mut client = balancer.client().await;
    assert_eq!(client.ask(&Assign::default()).await.failure().unwrap().code, Code::NoServer);
}

#[tokio::test]
async fn a_link_that_never_attaches_is_closed_however_busy_it_is() {
    let limits = Limits {
        link_silence: Duration::from_millis(100),
        ..limits()
    };
    let balancer = Balancer::start_with("least-load", limits).await;
    let mut link = Peer::dial(balancer.links).await;
    let asks = async {
        use tokio::io::AsyncWriteExt;
        let ping = framed(r#"{"op":"ping","id":1}"#);
        while link.stream.write_all(&ping).await.is_ok() {}
    };
    timeout(PATIENCE, asks).await.expect("still reading");
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_the_server_is_no_candidate() {
    let balancer = Balancer::start("least-load").await;
    let mut link = Peer::dial(balancer.links).await;
    let foreign = Attach {
        token: fleet_key().attach_token("s2"),
        ..attach_as("s1", 0)
    };
    let garbage = Attach {
        token: Secret::new(String::new()),
        ..attach_as("s1", 0)
    };
    for wrong in [foreign, garbage] {
        assert_eq!(link.ask(&wrong).await.failure().unwrap().code, Code::Unauthenticated);
    }
    let mut client = balancer.client().await;
    assert_eq!(client.ask(&Assign::default()).await.failure().unwrap().code, Code::NoServer);
    assert!(link.ask(&attach_as("s1", 0)).await.failure().is_none(), "the link is still good");
    assert_eq!(client.assign().await.server, "s1");
}

#[tokio::test]
async fn numbers_that_make_no_sense_are_refused() {
    let balancer = Balancer::start("least-load").await;
    let mut link = Peer::dial(balancer.links).await;
    let good = attach_as("s1", 0);
    let weights = [0.0, -1.0, 0.000_9, 1_000.1].map(|weight| Attach { weight, ..good.clone() });
    let addresses = ["", "s1", ":7110", "s1:", "s1:0", "s1:65536"].map(|address| Attach {
        address: address.into(),
        ..good.clone()
    });
    let names = ["", "s 1", "s\n1", &"s".repeat(129)].map(|server| Attach {
        server: server.into(),
        ..good.clone()
    });
    let loads = [
        load(INTEGER_MAX + 1),
        Load {
            reserved_elsewhere: u64::MAX,
            ..load(0)
        },
        Load {
            bytes_out: INTEGER_MAX + 1,
            ..load(0)
        },
        Load {
            bytes_in: INTEGER_MAX + 1,
            ..load(0)
        },
    ]
    .map(|load| Attach { load, ..good.clone() });
    for bad in weights.iter().chain(&addresses).chain(&names).chain(&loads) {
        assert_eq!(link.ask(bad).await.failure().unwrap().code, Code::BadRequest, "{bad:?}");
    }
    // What JSON has for NaN and infinity, and a load below nothing.
    let load_of = |weight: &str, connections: &str| {
        format!(
            r#"{{"op":"attach","id":99,"server":"s1","address":"a:1","weight":{weight},"token":"","load":{{"connections":{connections},"bytes-out":0,"bytes-in":0}}}}"#
        )
    };
    for (weight, connections) in [("null", "0"), ("\"NaN\"", "0"), ("1e999", "0"), ("1", "-1"), ("1", "0.5")] {
        link.send_header(&load_of(weight, connections)).await;
        let (re, code) = link.failure().await;
        assert_eq!(code, Code::BadRequest, "{weight} {connections} {re:?}");
    }
    assert!(link.ask(&good).await.failure().is_none());
    link.tell(&load(INTEGER_MAX + 1)).await;
    assert_eq!(link.failure().await, (None, Code::BadRequest));
    link.expect_end().await;
}

#[tokio::test]
async fn a_link_knows_attach_first_and_nothing_else() {
    let balancer = Balancer::start("least-load").await;
    let mut link = Peer::dial(balancer.links).await;
    assert_eq!(link.ask(&Ping {}).await.failure().unwrap().code, Code::Unauthenticated);
    assert!(link.ask(&attach_as("s1", 0)).await.failure().is_none());
    assert_eq!(link.ask(&Ping {}).await.failure().unwrap().code, Code::UnknownOp);
    assert_eq!(link.ask(&attach_as("s1", 0)).await.failure().unwrap().code, Code::BadRequest);
}

#[tokio::test]
async fn a_newer_link_replaces_the_older() {
    let mut balancer = Balancer::start("least-load").await;
    let mut old = balancer.server("s1", 1).await;
    let _new = balancer.server("s1", 2).await;
    old.expect_end().await;
    let report = balancer
        .reported(|_, status| status.servers.iter().any(|s| s.connections == 2))
        .await;
    let StatusPart::Balancer(status) = report.part else {
        unreachable!()
    };
    assert_eq!(status.servers.len(), 1);
    assert_eq!(balancer.client().await.assign().await.server, "s1");
}

#[tokio::test]
async fn reservations_are_told_redeemed_and_reported() {
    let mut balancer = Balancer::start("least-load").await;
    let mut s1 = balancer.server("s1", 0).await;
    s1.expect_reserved(0).await;
    let assigned = balancer.client().await.assign().await;
    s1.expect_reserved(1).await;
    let redeems = Load {
        redeemed: vec![assigned.ticket.clone(), Secret::new("forged".into())],
        ..load(1)
    };
    s1.tell(&redeems).await;
    s1.expect_reserved(0).await;
    let seen = BalancerServer {
        name: "s1".into(),
        connections: 1,
        reserved: 0,
        draining: false,
    };
    balancer.reported(|_, status| status.servers == [seen.clone()]).await;
    assert_eq!(balancer.metric("fastchat_balancer_tickets_redeemed_total", ""), 1.0);
    assert_eq!(balancer.metric("fastchat_balancer_server_connections", "s1"), 1.0);
}

#[tokio::test]
async fn a_ticket_that_nobody_uses_runs_out_and_is_counted() {
    let mut balancer = Balancer::start("least-load").await;
    let brief = BalancerSpec {
        ticket_ms: 1,
        ..balancer_spec("least-load")
    };
    balancer.specs.send_replace(spec(2, brief));
    balancer.reported(|report, _| report.applied_generation == 2).await;
    let mut s1 = balancer.server("s1", 0).await;
    balancer.client().await.assign().await;
    s1.expect_reserved(1).await;
    s1.expect_reserved(0).await;
    assert_eq!(balancer.metric("fastchat_balancer_tickets_expired_total", ""), 1.0);
}

#[tokio::test]
async fn a_client_that_moves_is_not_sent_back_and_counts_once() {
    let mut balancer = Balancer::start("least-load").await;
    let mut s1 = balancer.server("s1", 3).await;
    let _s2 = balancer.server("s2", 9).await;
    let moving = MoveId([1; 16]);
    let asks = Load {
        moving: vec![moving],
        ..load(4)
    };
    s1.tell(&asks).await;
    balancer
        .reported(|_, status| status.servers.iter().any(|server| server.connections == 4))
        .await;
    let moved = Assign {
        move_id: Some(moving),
        ..Assign::default()
    };
    let mut client = balancer.client().await;
    let assigned: fastchat_wire::chat::assign::Assigned = client.ask(&moved).await.parse().unwrap();
    assert_eq!(assigned.server, "s2");
}

#[tokio::test]
async fn a_draining_server_gets_no_clients() {
    let mut balancer = Balancer::start("round-robin").await;
    let mut s1 = balancer.server("s1", 0).await;
    let _s2 = balancer.server("s2", 0).await;
    let drains = Load { draining: true, ..load(0) };
    s1.tell(&drains).await;
    balancer
        .reported(|_, status| status.servers.iter().any(|server| server.draining))
        .await;
    let mut client = balancer.client().await;
    for _ in 0..10 {
        assert_eq!(client.assign().await.server, "s2");
    }
}
