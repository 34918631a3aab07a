//! What every store does with another process on the same data.

use super::{
    drafts::{NOW, append, append_one, commit, committed, read_all, seqs},
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
use std::{collections::BTreeSet, sync::Arc};
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
