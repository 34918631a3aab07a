//! Three people on three servers: everything acknowledged is delivered, once,
//! in order, whatever is killed meanwhile.

use super::{
    client::Client,
    harness::{Fleet, is_alive, signal, until},
    user::User,
};
use fastchat_wire::{EntryId, LogId, chat::create::ConversationKind, chat::server_kind::MEMBER};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

/// Appends of each of the three: 10,000 in all.
const DIRECT: usize = 1_500;
const GROUP: usize = 2_333;
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn three(fleet: &Fleet) -> [User; 3] {
    let mut users = Vec::new();
    for name in ["alice", "bob", "carol"] {
        users.push(User::register(fleet.balancer(), name).await);
    }
    users.try_into().unwrap_or_else(|_| unreachable!("three were registered"))
}

/// The log as the store has it: numbers without holes, each entry once.
pub(super) async fn check_log(client: &mut Client, log: LogId, users: &[&User], expected: usize) {
    let whole = client.whole(log).await.expect("the log is readable");
    let seqs: Vec<u64> = whole.iter().map(|(entry, _)| entry.seq).collect();
    assert_eq!(seqs, (1..=whole.len() as u64).collect::<Vec<_>>(), "no hole in the numbers");
    let ids: HashSet<EntryId> = whole.iter().map(|(entry, _)| entry.entry).collect();
    assert_eq!(ids.len(), whole.len(), "every entry stands once");
    assert_eq!(whole.iter().filter(|(entry, _)| entry.kind != MEMBER).count(), expected);
    let at: HashMap<EntryId, u64> = whole.iter().map(|(entry, _)| (entry.entry, entry.seq)).collect();
    for user in users {
        for (entry, (_, seq)) in user.acknowledged.iter().filter(|(_, (acknowledged, _))| *acknowledged == log) {
            assert_eq!(at.get(entry), Some(seq), "acknowledged is kept, at its number");
        }
        assert_eq!(
            user.seen[&log],
            whole.iter().map(|(entry, _)| (entry.seq, entry.entry)).collect(),
            "everybody saw the same"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_three_people_on_three_servers_say_reaches_everybody_in_order_exactly_once() {
    let fleet = Fleet::start();
    let [mut alice, mut bob, mut carol] = three(&fleet).await;
    let servers: BTreeSet<_> = [&alice, &bob, &carol].map(|user| user.server.clone()).into();
    assert_eq!(servers.len(), 3, "least-load puts three people on three servers");

    let (bob_id, carol_id) = (bob.me.account, carol.me.account);
    let direct = alice
        .client()
        .create(ConversationKind::Direct, &[bob_id])
        .await
        .expect("a direct conversation");
    let group = alice
        .client()
        .create(ConversationKind::Group, &[bob_id, carol_id])
        .await
        .expect("a group");
    let again = bob
        .client()
        .create(ConversationKind::Direct, &[alice.me.account])
        .await
        .expect("the same direct conversation");
    assert_eq!(again, direct, "a direct conversation is unique for its pair");
    for user in [&mut alice, &mut bob] {
        user.follow(direct);
    }
    for user in [&mut alice, &mut bob, &mut carol] {
        user.follow(group);
    }
    for n in 0..DIRECT {
        alice.write(direct, format!("alice to bob {n}"));
        bob.write(direct, format!("bob to alice {n}"));
    }
    for n in 0..GROUP {
        for user in [&mut alice, &mut bob, &mut carol] {
            user.write(group, format!("to all {n}"));
        }
    }
    let group_last = 1 + 3 * GROUP as u64;
    let both: HashMap<LogId, u64> = [(direct, 1 + 2 * DIRECT as u64), (group, group_last)].into();
    let group_only: HashMap<LogId, u64> = [(group, group_last)].into();
    tokio::join!(
        alice.run(&both, PATIENCE),
        bob.run(&both, PATIENCE),
        carol.run(&group_only, PATIENCE)
    );

    assert_eq!([alice.losses, bob.losses, carol.losses], [0; 3], "nobody was disconnected");
    assert_eq!(
        [alice.hole_fetches, bob.hole_fetches, carol.hole_fetches],
        [0; 3],
        "everything was pushed, nothing had to be fetched"
    );
    let mut reader = alice.client.take().expect("alice is online");
    check_log(&mut reader, direct, &[&alice, &bob], 2 * DIRECT).await;
    check_log(&mut reader, group, &[&alice, &bob, &carol], 3 * GROUP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing_and_doubles_nothing() {
    let fleet = Fleet::start();
    let rest = fleet.rest();
    let [mut alice, mut bob, mut carol] = three(&fleet).await;
    let (bob_id, carol_id) = (bob.me.account, carol.me.account);
    let group = alice
        .client()
        .create(ConversationKind::Group, &[bob_id, carol_id])
        .await
        .expect("a group");
    let each = 2_000;
    for user in [&mut alice, &mut bob, &mut carol] {
        user.follow(group);
        for n in 0..each {
            user.write(group, format!("to all {n}"));
        }
    }
    // Carol is away for the first half.
    carol.go_offline();
    let victim = bob.server.clone();
    let before = rest.server(&victim).await.expect("the server is listed");
    let pid = u32::try_from(before["pid"].as_u64().expect("a pid")).expect("a pid");
    let half: HashMap<LogId, u64> = [(group, 1 + 2 * each)].into();
    let all: HashMap<LogId, u64> = [(group, 1 + 3 * each)].into();
    let watcher_token = carol.me.token.clone();
    let elsewhere = fleet
        .line
        .servers
        .iter()
        .find(|server| server.name != victim)
        .expect("another server")
        .address
        .clone();
    let kill = async {
        let mut watcher = Client::greeted(&elsewhere, None).await.expect("a server greets");
        watcher.resume(&watcher_token).await.expect("carol's session");
        // In the middle of it: some are acknowledged, many are on their way.
        while watcher.fetch(group, 0).await.expect("the log is readable").1.last_seq < each / 4 {}
        signal(pid, "KILL");
    };
    tokio::join!(alice.run(&half, PATIENCE), bob.run(&half, PATIENCE), kill);
    assert!(bob.losses > 0, "bob's server was killed");

    tokio::join!(alice.run(&all, PATIENCE), bob.run(&all, PATIENCE), carol.run(&all, PATIENCE));
    check_log(alice.client(), group, &[], 3 * usize::try_from(each).unwrap()).await;
    let mut reader = alice.client.take().expect("alice is online");
    check_log(&mut reader, group, &[&alice, &bob, &carol], 3 * usize::try_from(each).unwrap()).await;

    let after = until("the crashed server is ready again, on its port", 10, async || {
        rest.server(&victim)
            .await
            .filter(|server| server["state"] == "ready" && server["pid"] != before["pid"])
    })
    .await;
    assert_eq!(after["address"], before["address"]);
    assert_eq!(after["restarts"], before["restarts"].as_u64().unwrap() + 1);
    assert!(!is_alive(pid));
}
