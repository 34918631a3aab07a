//! Signals: told to the members that are online, kept nowhere.

use super::{Client, Fleet};
use bytes::Bytes;
use fastchat_wire::{
    Code, ErrorBody, EventName, LogId,
    chat::{
        commit::{Commit, CommitLists},
        create::ConversationKind,
        signal::{Signal, SignalEvent},
    },
    frame::Block,
    limits::SIGNAL_BYTES_MAX,
};
use std::time::Duration;
use uuid::Uuid;

const A_WHILE: Duration = Duration::from_millis(300);

async fn signal(client: &mut Client, conversation: LogId, epoch: u64, block: Vec<u8>) -> Result<(), ErrorBody> {
    let request = Signal { conversation, epoch };
    client.ask_with(&request, &Block::binary(block)).await.map(drop)
}

/// Somebody else's device is removed, and the next epoch begins.
async fn remove(admin: &mut Client, conversation: LogId, epoch: u64, whom: &Client) {
    let lists = CommitLists {
        add: vec![],
        remove: vec![whom.account],
        welcome_to: vec![],
    };
    let commit = Commit {
        conversation,
        entry: Uuid::now_v7().into(),
        welcome_entry: None,
        epoch,
    };
    let block = Block::pieces(&[&serde_json::to_vec(&lists).unwrap()[..], b"commit", b"", b"info"]);
    admin.ask_with(&commit, &block).await.unwrap();
}

#[tokio::test]
async fn a_signal_reaches_the_members_that_are_online_on_any_server_and_no_log() {
    let fleet = Fleet::of(2).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut bob = fleet.register(1, "bob").await;
    let mut carol = fleet.register(0, "carol").await;
    let mut eve = fleet.register(1, "eve").await;
    for client in [&mut bob, &mut carol, &mut eve] {
        client.conversations().await;
    }
    let mut phone = fleet.client(1).await;
    phone.login("alice").await;
    phone.conversations().await;
    let log = alice.create(ConversationKind::Group, &[&bob, &carol]).await;
    bob.pushed_from(log, 1).await;
    signal(&mut alice, log, 0, b"typing".to_vec()).await.unwrap();
    let expected = SignalEvent {
        conversation: log,
        from: alice.account,
        device: alice.device,
        epoch: 0,
    };
    for client in [&mut bob, &mut carol, &mut phone] {
        assert_eq!(client.event::<SignalEvent>().await, (expected.clone(), Bytes::from("typing")));
    }
    for other in [&mut alice, &mut eve] {
        assert!(other.hears_nothing(EventName::Signal, A_WHILE).await);
    }
    assert_eq!(alice.fetch(log, 0).await.1.last_seq, 1, "the first entry, and nothing since");
    // Whoever comes later does not learn of it.
    let mut late = fleet.client(0).await;
    late.resume(&bob).await;
    late.conversations().await;
    assert!(late.hears_nothing(EventName::Signal, A_WHILE).await);
    fleet.servers[0].until("hints_total", "signal", |told| told == 1.0).await;
    fleet.servers[1].until("hints_total", "signal", |told| told == 2.0).await;
}

#[tokio::test]
async fn a_signal_is_a_members_of_the_current_epoch_and_small() {
    let fleet = Fleet::of(1).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut bob = fleet.register(0, "bob").await;
    let mut eve = fleet.register(0, "eve").await;
    let log = alice.create(ConversationKind::Group, &[&bob]).await;
    let refused = async |client: &mut Client, epoch, bytes| {
        let sent = signal(client, log, epoch, vec![b'x'; bytes]).await;
        sent.err().map(|error| error.code)
    };
    assert_eq!(refused(&mut alice, 0, SIGNAL_BYTES_MAX).await, None);
    bob.event::<SignalEvent>().await;
    assert_eq!(
        refused(&mut alice, 0, SIGNAL_BYTES_MAX + 1).await,
        Some(Code::BadRequest),
        "one past the bound"
    );
    assert_eq!(refused(&mut alice, 1, 1).await, Some(Code::EpochConflict));
    assert_eq!(refused(&mut eve, 0, 1).await, Some(Code::NotMember));
    remove(&mut alice, log, 0, &bob).await;
    assert_eq!(refused(&mut bob, 1, 1).await, Some(Code::NotMember), "a member no more");
    assert_eq!(refused(&mut alice, 0, 1).await, Some(Code::EpochConflict));
    assert_eq!(refused(&mut alice, 1, 1).await, None);
    assert!(bob.hears_nothing(EventName::Signal, A_WHILE).await);
}

#[tokio::test]
async fn who_was_removed_hears_no_signal_that_was_sent_after_it_whatever_the_bus_lost() {
    let fleet = Fleet::proxied(2).await;
    let mut alice = fleet.register(0, "alice").await;
    let mut bob = fleet.register(1, "bob").await;
    bob.conversations().await;
    for round in 0..20 {
        let log = alice.create(ConversationKind::Group, &[&bob]).await;
        bob.pushed_from(log, 1).await;
        signal(&mut alice, log, 0, vec![round]).await.unwrap();
        assert_eq!(bob.event::<SignalEvent>().await.1, vec![round]);
        // The second server may learn of the removal from the signal only.
        remove(&mut alice, log, 0, &bob).await;
        signal(&mut alice, log, 1, b"among us".to_vec()).await.unwrap();
    }
    assert!(bob.hears_nothing(EventName::Signal, A_WHILE).await);
}
