//! Promises of delivery that the store has no part in; those that it has stand
//! in the fleet's tests, on both stores.

use super::{Client, Fleet, MENDED, client::append};
use fastchat_wire::{
    Code, LogId,
    chat::{
        append::Appended, behind::Behind, create::ConversationKind, logout::Logout, ping::Ping, remove_device::RemoveDevice, resume::Resume,
    },
    encode_request,
    frame::Block,
};
use std::collections::BTreeSet;
use tokio::time::timeout;

/// Appends so many, all on their way at once; answers their numbers.
async fn append_many(client: &mut Client, log: LogId, count: u64) -> BTreeSet<u64> {
    let pipelined: Vec<u8> = (0..count)
        .flat_map(|id| encode_request(10_000 + id, &append(log), &Block::none()).unwrap())
        .collect();
    client.send(&pipelined).await;
    let mut own = BTreeSet::new();
    for _ in 0..count {
        let appended: Appended = client.answer().await.parse().unwrap();
        assert!(
            own.last().is_none_or(|last| *last < appended.seq),
            "in the order in which they were sent"
        );
        own.insert(appended.seq);
    }
    own
}

#[tokio::test]
async fn writers_on_three_servers_are_pushed_to_everybody_in_the_order_of_the_log_without_a_fetch() {
    const EACH: u64 = 150;
    let fleet = Fleet::of(3).await;
    let mut people = Vec::new();
    for (server, name) in ["alice", "bob", "carol"].into_iter().enumerate() {
        let mut client = fleet.register(server, name).await;
        client.conversations().await;
        people.push(client);
    }
    let [alice, bob, carol] = &mut people[..] else { unreachable!() };
    let log = alice.create(ConversationKind::Group, &[bob, carol]).await;
    for other in [&mut *bob, &mut *carol] {
        assert_eq!(other.pushed().await.event.seq, 1);
    }
    let owns = tokio::join!(
        append_many(alice, log, EACH),
        append_many(bob, log, EACH),
        append_many(carol, log, EACH)
    );
    let owns = [owns.0, owns.1, owns.2];
    for (client, own) in people.iter_mut().zip(&owns) {
        // The creation's entry is pushed to its creator as to anybody; the own appends are not.
        let mut expected = (2..=1 + 3 * EACH).filter(|seq| !own.contains(seq));
        let mut pushed = timeout(MENDED * 4, client.pushed()).await.expect("a push was lost").event.seq;
        if pushed == 1 {
            pushed = client.pushed().await.event.seq;
        }
        assert_eq!(Some(pushed), expected.next());
        for seq in expected {
            let pushed = timeout(MENDED * 4, client.pushed()).await.expect("a push was lost");
            assert_eq!(pushed.event.seq, seq, "neither a hole nor out of order");
        }
    }
}

#[tokio::test]
async fn who_reads_too_slowly_is_told_behind_fetches_and_misses_nothing_while_the_others_are_pushed_all() {
    let fleet = Fleet::of(2).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut slow = fleet.register(1, "slow").await;
    let mut bob = fleet.register(1, "bob").await;
    for client in [&mut slow, &mut bob] {
        client.conversations().await;
    }
    let log = alice.create(ConversationKind::Group, &[&slow, &bob]).await;
    assert_eq!(bob.pushed().await.event.seq, 1);
    let block = "x".repeat(256 << 10);
    let mut last = 1;
    // More than the sockets between them and the outbox hold.
    while fleet.servers[1].metric("pushes_dropped_total", "") < 20.0 {
        last = alice.append(log, &block).await.seq;
        assert_eq!(bob.pushed().await.event.seq, last, "the others are not held up");
    }
    // It reads at last: what was queued, in order, then that there was more.
    let mut cursor = 0;
    loop {
        let frame = slow.read().await.expect("it is not cut off");
        match frame.parse::<fastchat_wire::chat::entry::EntryEvent>() {
            Ok(entry) if entry.log == log => {
                assert_eq!(entry.seq, cursor + 1, "no hole before it is said");
                cursor = entry.seq;
            }
            _ => {
                let behind: Behind = frame.parse().unwrap();
                assert_eq!(behind, Behind { log: None, last_seq: None });
                break;
            }
        }
    }
    assert!(cursor < last, "{cursor} of {last} were pushed");
    // Pushes go on from here; the fetch brings what was dropped.
    let next = alice.append(log, "after").await.seq;
    assert_eq!(slow.pushed().await.event.seq, next);
    while cursor < next {
        let (entries, _) = slow.fetch(log, cursor).await;
        for entry in entries {
            assert_eq!(entry.event.seq, cursor + 1);
            cursor = entry.event.seq;
        }
    }
    assert_eq!(cursor, next);
}

#[tokio::test]
async fn signing_out_everywhere_ends_every_connection_on_every_server_and_every_token() {
    let fleet = Fleet::of(3).await;
    let laptop = fleet.register(0, "alice").await;
    let mut bob = fleet.register(1, "bob").await;
    let mut sessions = vec![laptop];
    for server in [1, 2, 0] {
        let mut device = fleet.client(server).await;
        device.login("alice").await;
        sessions.push(device);
    }
    let mut connections = Vec::new();
    for (server, session) in [(1, 0), (2, 0), (2, 3)] {
        let mut again = fleet.client(server).await;
        again.resume(&sessions[session]).await;
        connections.push(again);
    }
    let tokens: Vec<_> = sessions.iter().map(|session| session.token.clone()).collect();
    let mut asking = sessions.remove(2);
    asking.ask(&Logout { everywhere: true }).await.unwrap();
    for ended in sessions.iter_mut().chain(&mut connections).chain([&mut asking]) {
        timeout(MENDED, ended.end()).await.expect("a connection of the account lives on");
    }
    for token in tokens {
        for server in 0..3 {
            let mut late = fleet.client(server).await;
            let refused = late.ask(&Resume { token: token.clone() }).await.unwrap_err();
            assert_eq!(refused.code, Code::Unauthenticated);
        }
    }
    bob.ask(&Ping {}).await.expect("nobody else is concerned");
    let mut again = fleet.client(1).await;
    again.login("alice").await;
    again.conversations().await;
}

#[tokio::test]
async fn a_device_that_is_removed_by_another_is_signed_out_wherever_it_is() {
    let fleet = Fleet::of(3).await;
    let mut laptop = fleet.register(0, "alice").await;
    let mut phone = fleet.client(1).await;
    phone.login("alice").await;
    let mut again = fleet.client(2).await;
    again.resume(&phone).await;
    laptop.ask(&RemoveDevice { device: phone.device }).await.unwrap();
    for ended in [&mut phone, &mut again] {
        timeout(MENDED, ended.end()).await.expect("the device lives on");
    }
    let mut late = fleet.client(1).await;
    let resume = Resume {
        token: phone.token.clone(),
    };
    assert_eq!(late.ask(&resume).await.unwrap_err().code, Code::Unauthenticated);
    laptop.ask(&Ping {}).await.expect("the other device stays");
}
