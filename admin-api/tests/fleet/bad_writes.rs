//! Appends that are not allowed, and entries that come twice.

use super::{
    bad_frames::assert_refused,
    client::{Client, append, new_id},
    harness::Fleet,
};
use fastchat_wire::{
    Block, EntryId, LogId,
    chat::{
        append::Append,
        commit::{Commit, CommitLists, CurrentEpoch},
        create::{ConversationKind, Create},
        entry::EntryEvent,
    },
};

fn commit(conversation: LogId, epoch: u64, lists: &CommitLists) -> (Commit, Block) {
    let lists = serde_json::to_vec(lists).unwrap();
    let pieces: [&[u8]; 4] = [&lists, b"a commit", b"", b"group info"];
    (
        Commit {
            conversation,
            entry: new_id(),
            welcome_entry: None,
            epoch,
        },
        Block::pieces(&pieces),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_removed_members_and_stale_epochs_append_nothing() {
    let fleet = Fleet::start_with(&["--servers", "2"]);
    let (s1, s2) = (fleet.server("s1").to_owned(), fleet.server("s2").to_owned());
    let (mut alice, alice_id) = Client::registered(&s1, "alice").await;
    let (mut bob, bob_id) = Client::registered(&s2, "bob").await;
    let (mut mallory, mallory_id) = Client::registered(&s2, "mallory").await;
    for client in [&mut alice, &mut bob, &mut mallory] {
        client
            .raw(r#"{"op":"conversations","id":9000,"limit":1}"#)
            .await
            .expect("ready for pushes");
    }
    let group = alice.create(ConversationKind::Group, &[bob_id.account]).await.expect("a group");

    assert_refused(mallory.append(group, "let me in").await, "not-member");
    assert_refused(mallory.append(new_id(), "no such log").await, "not-member");
    assert_refused(mallory.fetch(group, 0).await, "not-member");
    assert_refused(bob.append(LogId::inbox_of(bob_id.device), "an inbox").await, "forbidden");
    let reserved = Append {
        kind: "member".to_owned(),
        ..append(group, new_id())
    };
    assert_refused(bob.call(&reserved, &Block::none()).await, "bad-request");
    let (taken, _) = (
        Create {
            conversation: group,
            kind: ConversationKind::Group,
            members: vec![],
        },
        (),
    );
    assert_refused(mallory.ask(&taken).await, "conflict");
    assert_refused(
        mallory.create(ConversationKind::Direct, &[new_id::<uuid::Uuid>().into()]).await,
        "not-found",
    );

    // An epoch that is given must be the current one.
    let (request, block) = commit(group, 0, &CommitLists::default());
    bob.call(&request, &block)
        .await
        .expect("any member may commit without adding or removing others");
    let stale = Append {
        epoch: Some(0),
        ..append(group, new_id())
    };
    assert_refused(bob.call(&stale, &Block::none()).await, "epoch-conflict");
    let current = Append {
        epoch: Some(1),
        ..append(group, new_id())
    };
    bob.call(&current, &Block::none()).await.expect("the current epoch");
    let (request, block) = commit(group, 0, &CommitLists::default());
    let id = alice.send(&request, &block).await.unwrap();
    let conflict = loop {
        let frame = alice.frame().await.expect("an answer");
        if matches!(frame.head.kind, fastchat_wire::Kind::Response { re, .. } if re == Some(id)) {
            break frame;
        }
    };
    assert_eq!(conflict.failure().unwrap().code.as_str(), "epoch-conflict");
    assert_eq!(
        conflict.parse::<CurrentEpoch>().unwrap().epoch,
        1,
        "with the current epoch beside the error"
    );

    // Only an admin adds and removes.
    let (request, block) = commit(
        group,
        1,
        &CommitLists {
            add: vec![mallory_id.account],
            ..CommitLists::default()
        },
    );
    assert_refused(bob.call(&request, &block).await, "forbidden");
    let (request, block) = commit(
        group,
        1,
        &CommitLists {
            remove: vec![bob_id.account],
            ..CommitLists::default()
        },
    );
    alice.call(&request, &block).await.expect("the admin removes bob");
    let last = alice.append(group, "without bob").await.expect("alice is a member");
    assert_refused(bob.append(group, "still here?").await, "not-member");
    let (old, fetched) = bob.fetch(group, 0).await.expect("what he was a member for stays readable");
    assert_eq!(
        old.last().map(|(entry, _)| (entry.kind.as_str(), entry.seq)),
        Some(("member", fetched.last_seq))
    );
    assert!(fetched.last_seq < last && !fetched.more, "and nothing after his removal");
    let told = loop {
        let (event, _) = bob.event::<EntryEvent>().await.expect("bob hears of his removal");
        assert!(event.seq < last, "nothing after the removal reaches bob");
        if event.kind == "member" && event.seq > 1 {
            break event;
        }
    };
    assert_eq!(told.from, Some(alice_id.account));
    let silence = tokio::time::timeout(std::time::Duration::from_millis(500), bob.event::<EntryEvent>()).await;
    assert!(silence.is_err(), "nothing further is pushed to bob: {silence:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_entry_twice_on_two_servers_at_once_stands_once() {
    let fleet = Fleet::start_with(&["--servers", "2"]);
    let (s1, s2) = (fleet.server("s1").to_owned(), fleet.server("s2").to_owned());
    let (mut alice, me) = Client::registered(&s1, "alice").await;
    let group = alice.create(ConversationKind::Group, &[]).await.expect("a group");
    let mut elsewhere = Client::greeted(&s2, None).await.unwrap();
    elsewhere.resume(&me.token).await.expect("several connections may share a session");

    let text = Block::binary(&b"once"[..]);
    for _ in 0..100 {
        let request = append(group, new_id::<EntryId>());
        let (here, there) = tokio::join!(alice.call(&request, &text), elsewhere.call(&request, &text));
        let (here, there) = (here.expect("answered").0, there.expect("answered").0);
        assert_eq!((here.seq, here.at), (there.seq, there.at), "whoever answers says the same");
        assert!(here.duplicate != there.duplicate, "one of them is the first");
        let again = alice.call(&request, &text).await.expect("answered").0;
        assert_eq!((again.seq, again.duplicate), (here.seq, true));
    }
    let whole = alice.whole(group).await.expect("the log");
    assert_eq!(whole.len(), 101, "the creation, and each entry once");
    assert_eq!(whole.last().unwrap().0.seq, 101, "without holes");
}
