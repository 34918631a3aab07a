//! Entries reach everybody who may read them, in order.

use super::{Client, Fleet, MENDED, client::append};
use fastchat_wire::{
    DeviceId, EventName, LogId,
    chat::{
        append::Appended,
        commit::{Commit, CommitLists, WelcomedNotice},
        create::ConversationKind,
        mark::{Mark, MarkEvent},
    },
    encode_request,
    encoding::Bytes64,
    frame::Block,
};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};
use tokio::time::timeout;
use uuid::Uuid;

#[tokio::test]
async fn entries_cross_servers_in_order() {
    let fleet = Fleet::of(3).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut bob = fleet.register(1, "bob").await;
    let mut carol = fleet.register(2, "carol").await;
    bob.conversations().await;
    carol.conversations().await;
    let log = alice.create(ConversationKind::Group, &[&bob, &carol]).await;
    let pipelined: Vec<u8> = (1..=300)
        .flat_map(|id| encode_request(1_000 + id, &append(log), &Block::binary(id.to_string())).unwrap())
        .collect();
    alice.send(&pipelined).await;
    for client in [&mut bob, &mut carol] {
        assert_eq!(client.pushed().await.event.kind, "member");
        for number in 1..=300u64 {
            let pushed = client.pushed().await;
            assert_eq!((pushed.event.seq, pushed.block), (number + 1, number.to_string().into()));
        }
    }
}

#[tokio::test]
async fn an_account_that_signs_in_while_others_append_elsewhere_misses_nothing_after_its_first_answer() {
    let fleet = Fleet::of(2).await;
    let mut alice = fleet.register(0, "alice").await;
    let bob = fleet.register(1, "bob").await;
    let log = alice.create(ConversationKind::Direct, &[&bob]).await;
    for _ in 0..20 {
        let mut again = fleet.client(1).await;
        let pipelined: Vec<u8> = (0..20)
            .flat_map(|id| encode_request(1_000 + id, &append(log), &Block::none()).unwrap())
            .collect();
        alice.send(&pipelined).await;
        again.resume(&bob).await;
        let (_, conversations) = again.conversations().await;
        let mut cursor = conversations[0].last_seq;
        let mut last = 0;
        for _ in 0..20 {
            last = alice.answer().await.parse::<Appended>().unwrap().seq;
        }
        while cursor < last {
            let pushed = timeout(MENDED, again.pushed_from(log, cursor + 1)).await.expect("a push was lost");
            assert_eq!(pushed.event.seq, cursor + 1, "a hole");
            cursor += 1;
        }
    }
}

#[tokio::test]
async fn marks_are_told_once_a_second_with_the_furthest_of_each() {
    let fleet = Fleet::of(2).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut bob = fleet.register(1, "bob").await;
    bob.conversations().await;
    let log = alice.create(ConversationKind::Direct, &[&bob]).await;
    for _ in 0..9 {
        alice.append(log, "x").await;
    }
    let began = Instant::now();
    for seq in 1..=10 {
        let (delivered, read) = (Some(seq), (seq <= 4).then_some(seq));
        bob.ask(&Mark {
            conversation: log,
            delivered,
            read,
        })
        .await
        .unwrap();
    }
    let mut marks = vec![alice.event::<MarkEvent>().await.0];
    while marks.last().unwrap().delivered != Some(10) {
        marks.push(alice.event::<MarkEvent>().await.0);
    }
    let most = 2 + began.elapsed().as_secs();
    assert!(marks.len() as u64 <= most, "coalesced: {marks:?}");
    assert_eq!(marks.iter().filter_map(|mark| mark.read).max(), Some(4));
    assert!(alice.hears_nothing(EventName::Mark, Duration::from_millis(1_200)).await);
}

/// What the devices of a group see of a Welcome to one of them.
#[tokio::test]
async fn a_welcome_travels_with_its_block_to_the_devices_that_it_welcomes_only() {
    let fleet = Fleet::of(2).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut bob = fleet.register(1, "bob").await;
    let mut laptop = fleet.client(0).await;
    laptop.login("bob").await;
    let mut carol = fleet.register(0, "carol").await;
    let log = alice.create(ConversationKind::Group, &[&carol]).await;
    let (commit, block) = welcome_to(log, &bob);
    let (appended, _) = alice.ask_with(&commit, &block).await.unwrap();
    assert_eq!(appended.seq, 2);
    for client in [&mut alice, &mut carol, &mut laptop, &mut bob] {
        let live = client.pushed_from(log, 3).await;
        let (fetched, _) = client.fetch(log, 2).await;
        assert_eq!(fetched[0], live, "pushed as it is fetched");
        assert_eq!(live.event.kind, "welcome");
        if client.device == commit_device(&block) {
            assert_eq!((live.block, live.event.block_sha256), ("welcome".into(), None));
        } else {
            let sha256 = Bytes64(Sha256::digest("welcome").to_vec());
            assert_eq!((live.block.len(), live.event.block_sha256), (0, Some(sha256)));
        }
    }
    let (inbox, _) = bob.fetch(LogId::inbox_of(bob.device), 0).await;
    assert_eq!(inbox[0].event.kind, "welcomed");
    assert_eq!(serde_json::from_slice::<WelcomedNotice>(&inbox[0].block).unwrap().seq, 3);
}

/// A commit that adds somebody's account and welcomes that device.
fn welcome_to(log: LogId, who: &Client) -> (Commit, Block) {
    let lists = CommitLists {
        add: vec![who.account],
        remove: vec![],
        welcome_to: vec![who.device],
    };
    let commit = Commit {
        conversation: log,
        entry: Uuid::now_v7().into(),
        welcome_entry: Some(Uuid::now_v7().into()),
        epoch: 0,
    };
    let lists = serde_json::to_vec(&lists).unwrap();
    let block = Block::pieces(&[&lists[..], b"commit", b"welcome", b"info"]);
    (commit, block)
}

fn commit_device(block: &Block) -> DeviceId {
    let lists = usize::try_from(block.parts.as_ref().unwrap()[0]).unwrap();
    serde_json::from_slice::<CommitLists>(&block.bytes[..lists]).unwrap().welcome_to[0]
}

#[tokio::test]
async fn who_is_removed_is_pushed_its_removal_and_nothing_after_it() {
    let fleet = Fleet::of(2).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut bob = fleet.register(1, "bob").await;
    bob.conversations().await;
    let log = alice.create(ConversationKind::Group, &[&bob]).await;
    let mut epoch = 0;
    for _ in 0..2 {
        for (add, remove) in [(vec![], vec![bob.account]), (vec![bob.account], vec![])] {
            let added = !add.is_empty();
            let lists = CommitLists {
                add,
                remove,
                welcome_to: vec![],
            };
            let commit = Commit {
                conversation: log,
                entry: Uuid::now_v7().into(),
                welcome_entry: None,
                epoch,
            };
            epoch += 1;
            let block = Block::pieces(&[&serde_json::to_vec(&lists).unwrap()[..], b"commit", b"", b"info"]);
            let (committed, _) = alice.ask_with(&commit, &block).await.unwrap();
            alice.append(log, "x").await;
            for seq in committed.seq..=committed.seq + 1 {
                assert_eq!(bob.pushed_from(log, seq).await.event.seq, seq, "the commit and the change");
            }
            if added {
                assert_eq!(bob.pushed().await.event.seq, committed.seq + 2);
            } else {
                assert!(bob.hears_nothing(EventName::Entry, Duration::from_millis(300)).await);
            }
        }
    }
}

#[tokio::test]
async fn who_comes_back_is_pushed_what_is_new_and_not_what_it_was_away_for() {
    let fleet = Fleet::of(2).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut bob = fleet.register(1, "bob").await;
    bob.conversations().await;
    let log = alice.create(ConversationKind::Direct, &[&bob]).await;
    bob.pushed_from(log, 1).await;
    for _ in 0..3 {
        let gone = bob;
        bob = fleet.client(1).await;
        gone.stream.set_zero_linger().unwrap();
        let token = gone.token.clone();
        drop(gone);
        fleet.servers[1].until("connections", "", |n| n == 1.0).await;
        for _ in 0..30 {
            alice.append(log, "x").await;
        }
        bob.resume_with(token).await;
        let (_, conversations) = bob.conversations().await;
        let appended = alice.append(log, "y").await;
        assert_eq!(appended.seq, conversations[0].last_seq + 1);
        let pushed = bob.pushed().await;
        assert_eq!((pushed.event.log, pushed.event.seq), (log, appended.seq));
    }
}
