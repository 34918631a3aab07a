//! What every store does with another process on the same data.

use super::{
    drafts::{NOW, append, append_one, commit, commit_accounts, commit_welcome, committed, read_all, seqs},
    people::{Person, converse, register},
};
use crate::store::{
    Denied, Store, StoreError,
    logs::{Append, Create},
};
use fastchat_wire::{
    LogId,
    chat::create::ConversationKind::{Direct, Group},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::task::JoinSet;
use uuid::Uuid;

type Two = [Arc<dyn Store>; 2];

/// Appends entries in small batches; answers their numbers.
async fn append_batches(store: Arc<dyn Store>, person: Person, log: LogId) -> Vec<u64> {
    let mut numbers = Vec::new();
    for _ in 0..20 {
        let batch: Vec<_> = (0..5).map(|n| append(&person, log, &n.to_string())).collect();
        let answers = store.append(&batch).await.unwrap();
        numbers.extend(answers.into_iter().map(|answer| answer.unwrap().seq));
    }
    numbers
}

/// Commits as often as asked, again after each epoch conflict.
async fn commit_often(store: Arc<dyn Store>, person: Person, log: LogId) -> Vec<u64> {
    let (mut numbers, mut epoch) = (Vec::new(), 0);
    while numbers.len() < 10 {
        match store.commit(commit(&person, log, epoch)).await {
            Ok(done) => numbers.push(done.appended.seq),
            Err(StoreError::Denied(Denied::EpochConflict { current })) => epoch = current,
            Err(other) => panic!("{other}"),
        }
    }
    numbers
}

pub(crate) async fn numbers_have_no_hole_and_no_double(stores: Two) {
    let (alice, bob) = (register(&stores[0], "alice").await, register(&stores[1], "bob").await);
    let log = converse(&stores[0], &alice, Group, &[&bob]).await;
    let mut tasks = JoinSet::new();
    for store in &stores {
        for person in [&alice, &bob] {
            tasks.spawn(append_batches(Arc::clone(store), person.clone(), log));
            tasks.spawn(commit_often(Arc::clone(store), person.clone(), log));
        }
    }
    let acknowledged: Vec<u64> = tasks.join_all().await.concat();
    let distinct: BTreeSet<u64> = acknowledged.iter().copied().collect();
    assert_eq!(distinct.len(), acknowledged.len(), "no number twice");
    let count = 1 + 4 * (100 + 10);
    for store in &stores {
        let page = read_all(store, log, alice.actor()).await;
        assert_eq!(seqs(&page.entries), (1..=count).collect::<Vec<_>>());
    }
    let (epoch, _) = stores[0].group_info(log, alice.account).await.unwrap();
    assert_eq!(epoch, 40);
}

pub(crate) async fn the_same_entry_through_both_is_one(stores: Two) {
    let alice = register(&stores[0], "alice").await;
    let log = converse(&stores[0], &alice, Group, &[]).await;
    for round in 0..20 {
        let sent = append(&alice, log, "once");
        let both = stores.clone().map(|store| {
            let sent = sent.clone();
            async move { append_one(&store, sent).await.unwrap() }
        });
        let [one, other] = both.map(tokio::spawn);
        let (one, other) = (one.await.unwrap(), other.await.unwrap());
        assert_eq!((one.seq, other.seq), (round + 2, round + 2));
        assert!(one.duplicate ^ other.duplicate);
    }
}

pub(crate) async fn a_direct_conversation_made_from_both_sides_is_one(stores: Two) {
    for round in 0..10 {
        let (alice, bob) = (
            register(&stores[0], &format!("alice{round}")).await,
            register(&stores[1], &format!("bob{round}")).await,
        );
        let draft = |creator: &Person, other: &Person| Create {
            conversation: Uuid::now_v7().into(),
            kind: Direct,
            actor: creator.actor(),
            members: vec![other.account],
            member_entry: Uuid::now_v7().into(),
            at: NOW,
        };
        let (one, other) = tokio::join!(stores[0].create(draft(&alice, &bob)), stores[1].create(draft(&bob, &alice)));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.conversation, other.conversation);
        assert!(one.created ^ other.created);
    }
}

pub(crate) async fn what_one_acknowledged_the_other_has(stores: Two) {
    let alice = register(&stores[0], "alice").await;
    let log = converse(&stores[0], &alice, Group, &[]).await;
    let sent = append(&alice, log, "hello");
    let first = append_one(&stores[0], sent.clone()).await.unwrap();
    assert_eq!(read_all(&stores[1], log, alice.actor()).await.entries[1].block, "hello");
    let again = append_one(&stores[1], sent).await.unwrap();
    assert_eq!((again.seq, again.at, again.duplicate), (first.seq, first.at, true));
    committed(&stores[1], commit(&alice, log, 0)).await;
    let stale = Append {
        epoch: Some(0),
        ..append(&alice, log, "")
    };
    assert_eq!(append_one(&stores[0], stale).await, Err(Denied::EpochConflict { current: 1 }));
}

pub(crate) async fn who_was_removed_appends_nothing_after_it(stores: Two) {
    let (alice, bob) = (register(&stores[0], "alice").await, register(&stores[1], "bob").await);
    for _ in 0..8 {
        let log = converse(&stores[0], &alice, Group, &[&bob]).await;
        let (store, person) = (Arc::clone(&stores[1]), bob.clone());
        let appending = tokio::spawn(async move {
            let mut last = 0;
            loop {
                match append_one(&store, append(&person, log, "still here")).await {
                    Ok(appended) => last = appended.seq,
                    Err(denied) => return (last, denied),
                }
            }
        });
        // Two appends stand before the removal, so that it meets a writer at work.
        while read_all(&stores[0], log, alice.actor()).await.last_seq < 3 {}
        let removed = committed(&stores[0], commit_accounts(&alice, log, 0, &[], &[&bob])).await;
        let (last, denied) = appending.await.unwrap();
        assert_eq!(denied, Denied::NotMember);
        assert!(last < removed.appended.seq, "{last} after the removal at {}", removed.appended.seq);
        let seen = read_all(&stores[1], log, bob.actor()).await;
        assert_eq!(seen.last_seq, removed.appended.seq + 1, "through the entry that tells of it");
        append_one(&stores[0], append(&alice, log, "among us")).await.unwrap();
        assert_eq!(read_all(&stores[1], log, bob.actor()).await.last_seq, seen.last_seq);
    }
}

pub(crate) async fn of_two_commits_of_one_epoch_one_is_made(stores: Two) {
    let (alice, bob) = (register(&stores[0], "alice").await, register(&stores[1], "bob").await);
    let log = converse(&stores[0], &alice, Group, &[&bob]).await;
    for epoch in 0..20 {
        let (one, other) = tokio::join!(
            stores[0].commit(commit(&alice, log, epoch)),
            stores[1].commit(commit(&bob, log, epoch))
        );
        let refused = match (one, other) {
            (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
            both => panic!("one of {both:?} is to be refused"),
        };
        assert!(
            matches!(refused, StoreError::Denied(Denied::EpochConflict { current }) if current == epoch + 1),
            "{refused}"
        );
    }
}

pub(crate) async fn writers_of_many_logs_in_any_order_never_block_each_other_for_good(stores: Two) {
    let alice = register(&stores[0], "alice").await;
    let bob = register(&stores[1], "bob").await;
    let mut logs = vec![LogId::archive_of(alice.account)];
    for _ in 0..7 {
        logs.push(converse(&stores[0], &alice, Group, &[&bob]).await);
    }
    let mut tasks = JoinSet::new();
    for writer in 0..8 {
        let (store, alice, mut logs) = (Arc::clone(&stores[writer % 2]), alice.clone(), logs.clone());
        logs.rotate_left(writer);
        if writer % 2 == 1 {
            logs.reverse();
        }
        tasks.spawn(async move {
            for _ in 0..12 {
                let batch: Vec<_> = logs.iter().map(|log| append(&alice, *log, "")).collect();
                for answer in store.append(&batch).await.unwrap() {
                    answer.unwrap();
                }
            }
        });
    }
    // Commits lock inboxes as well: both people's, beside conversations on either side of them.
    for (index, log) in logs.iter().skip(1).enumerate() {
        let (store, alice, bob, log) = (Arc::clone(&stores[index % 2]), alice.clone(), bob.clone(), *log);
        tasks.spawn(async move {
            for epoch in 0..6 {
                committed(&store, commit_welcome(&alice, log, epoch, &[], &[bob.device, alice.device])).await;
            }
        });
    }
    tokio::time::timeout(Duration::from_secs(60), tasks.join_all())
        .await
        .expect("all of them end");
    for log in logs {
        let own = log == LogId::archive_of(alice.account);
        // Eight writers' entries; in a conversation the first one, and six commits with their Welcomes.
        let count = 8 * 12 + if own { 0 } else { 1 + 6 * 2 };
        let page = read_all(&stores[0], log, alice.actor()).await;
        assert_eq!(seqs(&page.entries), (1..=count).collect::<Vec<_>>());
    }
    for person in [&alice, &bob] {
        let inbox = read_all(&stores[1], LogId::inbox_of(person.device), person.actor()).await;
        assert_eq!(seqs(&inbox.entries), (1..=7 * 6).collect::<Vec<_>>());
    }
}
