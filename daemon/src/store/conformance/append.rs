//! What every store does on `append`.

use super::{
    drafts::{NOW, append, append_many, append_one, commit, commit_accounts, committed, read_all, refusal, seqs},
    people::{converse, register},
};
use crate::store::{
    Denied, Store,
    logs::{Append, Appended},
};
use bytes::Bytes;
use fastchat_wire::{
    DeviceId, LogId,
    chat::create::ConversationKind::{Direct, Group},
};
use std::sync::Arc;
use uuid::Uuid;

pub(crate) async fn numbers_count_up_and_blocks_come_back(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let log = converse(&store, &alice, Direct, &[&bob]).await;
    let sent = Append {
        epoch: Some(0),
        ..append(&alice, log, "hello")
    };
    let appended = append_one(&store, sent.clone()).await.unwrap();
    assert_eq!(
        appended,
        Appended {
            seq: 2,
            at: NOW,
            duplicate: false,
            members_seq: 1
        }
    );
    let empty = append(&bob, log, "");
    assert_eq!(append_one(&store, empty.clone()).await.unwrap().seq, 3);
    let page = read_all(&store, log, bob.actor()).await;
    assert_eq!(seqs(&page.entries), [1, 2, 3]);
    let stored = &page.entries[1];
    assert_eq!((stored.log, stored.at, &*stored.kind, stored.entry), (log, NOW, "app", sent.entry));
    assert_eq!(
        (stored.from, stored.device, stored.epoch),
        (Some(alice.account), Some(alice.device), Some(0))
    );
    assert_eq!(stored.block, "hello");
    assert_eq!((page.entries[2].epoch, page.entries[2].block.len()), (None, 0));
    assert!(page.entries.iter().all(|entry| entry.welcome_to.is_empty()));
}

pub(crate) async fn a_batch_may_have_many_logs_and_senders(store: Arc<dyn Store>) {
    let (alice, bob, eve) = (
        register(&store, "alice").await,
        register(&store, "bob").await,
        register(&store, "eve").await,
    );
    let one = converse(&store, &alice, Direct, &[&bob]).await;
    let two = converse(&store, &alice, Group, &[]).await;
    let unknown: LogId = Uuid::now_v7().into();
    let batch = [
        append(&alice, one, "1"),
        append(&eve, one, "a stranger"),
        append(&alice, two, "2"),
        append(&alice, unknown, "nowhere"),
        append(&bob, two, "a stranger"),
        append(&bob, one, "3"),
        append(&alice, LogId::archive_of(alice.account), "4"),
        append(&alice, two, "5"),
    ];
    let answers = store.append(&batch).await.unwrap();
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.map(|appended| appended.seq)).collect();
    let no = Err(Denied::NotMember);
    assert_eq!(answers, [Ok(2), no.clone(), Ok(2), no.clone(), no, Ok(3), Ok(1), Ok(3)]);
    let texts = async |log| {
        let page = read_all(&store, log, alice.actor()).await;
        page.entries
            .into_iter()
            .filter(|entry| &*entry.kind == "app")
            .map(|entry| entry.block)
            .collect::<Vec<Bytes>>()
    };
    assert_eq!(texts(one).await, ["1", "3"]);
    assert_eq!(texts(two).await, ["2", "5"]);
    assert_eq!(store.append(&[]).await.unwrap(), []);
}

pub(crate) async fn the_same_entry_again_is_the_same_append(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let log = converse(&store, &alice, Group, &[&bob]).await;
    let sent = append(&alice, log, "once");
    let first = append_one(&store, sent.clone()).await.unwrap();
    append_many(&store, &bob, log, 3).await;
    let again = Append {
        at: NOW + 9,
        ..sent.clone()
    };
    let again = append_one(&store, again).await.unwrap();
    assert_eq!(again, Appended { duplicate: true, ..first });

    // Within one batch, twice and with others between.
    let twice = append(&alice, log, "twice");
    let batch = [twice.clone(), append(&bob, log, "between"), twice.clone(), sent.clone()];
    let answers: Vec<_> = store
        .append(&batch)
        .await
        .unwrap()
        .into_iter()
        .map(|answer| answer.unwrap())
        .collect();
    let found: Vec<_> = answers.iter().map(|appended| (appended.seq, appended.duplicate)).collect();
    assert_eq!(found, [(6, false), (7, false), (6, true), (2, true)]);

    // Another device's entry of the same id, and the same one in another log, are other appends.
    let others = Append {
        account: bob.account,
        device: bob.device,
        ..sent.clone()
    };
    assert_eq!(append_one(&store, others).await.unwrap().seq, 8);
    let archived = Append {
        log: LogId::archive_of(alice.account),
        ..sent
    };
    assert_eq!(append_one(&store, archived).await.unwrap().seq, 1);
    assert_eq!(
        seqs(&read_all(&store, log, alice.actor()).await.entries),
        (1..=8).collect::<Vec<_>>()
    );
}

pub(crate) async fn a_duplicate_is_found_before_membership_and_epoch(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let log = converse(&store, &alice, Group, &[&bob]).await;
    let sent = Append {
        epoch: Some(0),
        ..append(&bob, log, "before")
    };
    let first = append_one(&store, sent.clone()).await.unwrap();
    committed(&store, commit(&alice, log, 0)).await;
    assert_eq!(append_one(&store, sent.clone()).await.unwrap().seq, first.seq, "a stale epoch");
    committed(&store, commit_accounts(&alice, log, 1, &[], &[&bob])).await;
    let again = append_one(&store, sent).await.unwrap();
    assert_eq!((again.seq, again.duplicate), (first.seq, true), "removed");
    assert_eq!(append_one(&store, append(&bob, log, "after")).await, Err(Denied::NotMember));
}

pub(crate) async fn an_epoch_is_compared_where_it_is_given(store: Arc<dyn Store>) {
    let alice = register(&store, "alice").await;
    let log = converse(&store, &alice, Group, &[]).await;
    committed(&store, commit(&alice, log, 0)).await;
    let with = |epoch| Append {
        epoch,
        ..append(&alice, log, "")
    };
    let batch = [with(Some(0)), with(Some(1)), with(Some(2)), with(None)];
    let answers: Vec<_> = store
        .append(&batch)
        .await
        .unwrap()
        .into_iter()
        .map(|answer| answer.map(|appended| appended.seq))
        .collect();
    let stale = Err(Denied::EpochConflict { current: 1 });
    assert_eq!(answers, [stale.clone(), Ok(3), stale, Ok(4)], "a refusal takes no number");
}

pub(crate) async fn an_archive_is_its_accounts_and_an_inbox_the_servers(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let archive = LogId::archive_of(alice.account);
    assert_eq!(append_one(&store, append(&alice, archive, "record")).await.unwrap().seq, 1);
    assert_eq!(append_one(&store, append(&bob, archive, "record")).await, Err(Denied::NotMember));
    let other_device = Append {
        device: DeviceId(Uuid::now_v7().into_bytes()),
        ..append(&alice, archive, "from the other device")
    };
    assert_eq!(append_one(&store, other_device).await.unwrap().seq, 2);
    for person in [&alice, &bob] {
        let denied = append_one(&store, append(person, LogId::inbox_of(alice.device), ""))
            .await
            .unwrap_err();
        assert!(matches!(denied, Denied::Forbidden(_)), "{denied}");
    }
    assert_eq!(refusal(store.fetch(archive, bob.actor(), 0, 1, 1).await), Denied::NotMember);
    assert_eq!(
        refusal(store.fetch(LogId::inbox_of(alice.device), bob.actor(), 0, 1, 1).await),
        Denied::NotMember
    );
}
