//! What every [`SweepStore`](crate::store::SweepStore) does.

use super::{
    blobs::{NOW, new_blob, put, three},
    people::{converse, register},
};
use crate::store::{
    Store,
    blobs::{NewBlob, ObjectKey},
    sweep::{Removal, Standing, Turn},
};
use fastchat_wire::{AccountId, chat::create::ConversationKind};
use std::{collections::HashSet, sync::Arc};
use uuid::Uuid;

async fn whole(store: &Arc<dyn Store>, new: &NewBlob, account: AccountId) {
    store.blob_create(*new).await.unwrap();
    store.blob_advance(new.blob, account, put(new, 0, new.size)).await.unwrap();
}

pub(crate) async fn the_turn_is_one_servers_until_it_ends(store: Arc<dyn Store>) {
    assert_eq!(store.sweep().sweep_turn("s1", 100, 200).await.unwrap(), Turn::Ours { walked_at: 0 });
    assert_eq!(store.sweep().sweep_turn("s2", 199, 300).await.unwrap(), Turn::Another);
    assert_eq!(
        store.sweep().sweep_turn("s1", 150, 250).await.unwrap(),
        Turn::Ours { walked_at: 0 },
        "it keeps its turn"
    );
    assert_eq!(store.sweep().sweep_turn("s2", 249, 350).await.unwrap(), Turn::Another);
    assert_eq!(
        store.sweep().sweep_turn("s2", 250, 350).await.unwrap(),
        Turn::Ours { walked_at: 0 },
        "who died has lost it"
    );
    store.sweep().sweep_done("s1", Some(1)).await.unwrap();
    assert_eq!(
        store.sweep().sweep_turn("s1", 260, 360).await.unwrap(),
        Turn::Another,
        "it was not s1's to give up"
    );
    store.sweep().sweep_done("s2", Some(260)).await.unwrap();
    assert_eq!(
        store.sweep().sweep_turn("s1", 261, 361).await.unwrap(),
        Turn::Ours { walked_at: 260 }
    );
    store.sweep().sweep_done("s1", None).await.unwrap();
    assert_eq!(
        store.sweep().sweep_turn("s2", 262, 362).await.unwrap(),
        Turn::Ours { walked_at: 260 }
    );
}

pub(crate) async fn nothing_is_removed_during_a_pause(store: Arc<dyn Store>) {
    let (alice, _, _, conversation) = three(&store).await;
    let new = new_blob(&alice, conversation, 4);
    store.blob_create(new).await.unwrap();
    store.sweep().sweep_turn("s1", NOW, NOW + 50).await.unwrap();
    store.sweep().sweep_pause(NOW + 10).await.unwrap();
    assert_eq!(store.sweep().sweep_turn("s1", NOW + 9, NOW + 60).await.unwrap(), Turn::Paused);
    assert_eq!(store.sweep().sweep_turn("s2", NOW + 9, NOW + 60).await.unwrap(), Turn::Paused);
    let remove = async |now| store.sweep().blob_remove(new.blob, Removal::Unfinished, NOW, now).await.unwrap();
    assert_eq!(remove(NOW + 9).await, None, "nor by one that had its turn before");
    assert_eq!(remove(NOW + 10).await, Some(new.key), "the pause is over");
    store.sweep().sweep_pause(0).await.unwrap();
    assert_eq!(
        store.sweep().sweep_turn("s1", NOW, NOW + 60).await.unwrap(),
        Turn::Ours { walked_at: 0 }
    );
}

pub(crate) async fn what_is_due_is_what_did_not_move(store: Arc<dyn Store>) {
    let (alice, _, _, conversation) = three(&store).await;
    let (open, done) = (new_blob(&alice, conversation, 4), new_blob(&alice, conversation, 4));
    store.blob_create(open).await.unwrap();
    whole(&store, &done, alice.account).await;
    assert_eq!(store.sweep().blobs_due(false, NOW - 1, 9).await.unwrap(), []);
    assert_eq!(store.sweep().blobs_due(false, NOW, 9).await.unwrap(), [open.blob]);
    assert_eq!(store.sweep().blobs_due(true, NOW, 9).await.unwrap(), [done.blob]);
    let mut later = put(&open, 0, 1);
    later.at = NOW + 5;
    store.blob_advance(open.blob, alice.account, later).await.unwrap();
    assert_eq!(store.sweep().blobs_due(false, NOW + 4, 9).await.unwrap(), [], "a piece came");
    store.blob_create(NewBlob { at: NOW + 7, ..open }).await.unwrap();
    assert_eq!(
        store.sweep().blobs_due(false, NOW + 6, 9).await.unwrap(),
        [],
        "somebody asked where to go on"
    );
    assert_eq!(store.sweep().blobs_due(false, NOW + 7, 9).await.unwrap(), [open.blob]);
}

pub(crate) async fn a_blob_is_removed_only_while_its_reason_holds(store: Arc<dyn Store>) {
    let (alice, _, _, conversation) = three(&store).await;
    let (open, done) = (new_blob(&alice, conversation, 4), new_blob(&alice, conversation, 4));
    store.blob_create(open).await.unwrap();
    whole(&store, &done, alice.account).await;
    for (new, why, before) in [
        (&open, Removal::Unfinished, NOW - 1),
        (&open, Removal::Aged, NOW),
        (&done, Removal::Unfinished, NOW),
        (&done, Removal::Aged, NOW - 1),
        (&done, Removal::Unreadable, NOW),
        (&done, Removal::Lost, u64::MAX),
    ] {
        assert_eq!(
            store.sweep().blob_remove(new.blob, why, before, NOW).await.unwrap(),
            None,
            "{why:?} {before}"
        );
    }
    assert_eq!(
        store.sweep().blob_remove(open.blob, Removal::Unfinished, NOW, NOW).await.unwrap(),
        Some(open.key)
    );
    assert_eq!(
        store.sweep().blob_remove(done.blob, Removal::Aged, NOW, NOW).await.unwrap(),
        Some(done.key)
    );
    assert_eq!(
        store.sweep().blob_remove(done.blob, Removal::Aged, NOW, NOW).await.unwrap(),
        None,
        "removed again"
    );
    assert!(store.blob(done.blob, alice.account).await.is_err());
    assert_eq!(store.blob_chunks(done.blob, 0, 4).await.unwrap(), []);
    store
        .blob_create(new_blob(&alice, conversation, 100))
        .await
        .expect("the quota is free again");
}

pub(crate) async fn a_blob_that_nobody_can_read_is_removed(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let group = converse(&store, &alice, ConversationKind::Group, &[&bob]).await;
    let new = new_blob(&alice, group, 4);
    whole(&store, &new, alice.account).await;
    let readable = async || store.sweep().blobs_after(None, 9).await.unwrap()[0].readable;
    store.leave(group, alice.actor(), Uuid::now_v7().into(), NOW).await.unwrap();
    assert!(readable().await, "bob is still there");
    assert_eq!(
        store.sweep().blob_remove(new.blob, Removal::Unreadable, NOW, NOW).await.unwrap(),
        None
    );
    store.leave(group, bob.actor(), Uuid::now_v7().into(), NOW).await.unwrap();
    assert!(!readable().await);
    assert_eq!(
        store.sweep().blob_remove(new.blob, Removal::Unreadable, NOW, NOW).await.unwrap(),
        Some(new.key)
    );
}

pub(crate) async fn rows_come_in_pages_and_say_what_is_lost(store: Arc<dyn Store>) {
    let (alice, _, _, conversation) = three(&store).await;
    let mut expected = Vec::new();
    for _ in 0..3 {
        let new = new_blob(&alice, conversation, 4);
        whole(&store, &new, alice.account).await;
        expected.push(Standing {
            blob: new.blob,
            key: new.key,
            complete: true,
            readable: true,
            lost_at: None,
        });
    }
    expected.sort_by_key(|row| row.blob);
    store.sweep().blob_lost(expected[1].key, Some(NOW)).await.unwrap();
    store.sweep().blob_lost(expected[2].key, Some(NOW)).await.unwrap();
    store.sweep().blob_lost(expected[2].key, None).await.unwrap();
    expected[1].lost_at = Some(NOW);
    assert_eq!(store.sweep().blobs_after(None, 2).await.unwrap(), expected[..2]);
    assert_eq!(store.sweep().blobs_after(Some(expected[1].blob), 2).await.unwrap(), expected[2..]);
    let remove = async |row: &Standing, before| store.sweep().blob_remove(row.blob, Removal::Lost, before, NOW).await.unwrap();
    assert_eq!(remove(&expected[1], NOW - 1).await, None, "not for long yet");
    assert_eq!(remove(&expected[2], u64::MAX).await, None, "it was found again");
    assert_eq!(remove(&expected[1], NOW).await, Some(expected[1].key));
    let keys: Vec<ObjectKey> = expected.iter().map(|row| row.key).collect();
    let known = store.sweep().keys_of_blobs(&keys).await.unwrap();
    assert_eq!(known, HashSet::from([keys[0], keys[2]]));
}
