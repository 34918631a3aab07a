//! What every [`BlobStore`](crate::store::BlobStore) does.

use super::people::{Person, converse, register};
use crate::store::{
    Denied, Store, StoreError,
    blobs::{Blob, Chunk, NewBlob, ObjectKey, Put, Quota},
    sweep::Removal,
};
use fastchat_wire::{BlobId, LogId, chat::create::ConversationKind, limits::BLOB_CHUNKS_MAX};
use std::sync::Arc;
use uuid::Uuid;

pub(super) const NOW: u64 = 1_800_000_000_000;
const DAY: u64 = 24 * 60 * 60 * 1_000;

fn denied<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Denied {
    match result {
        Err(StoreError::Denied(denied)) => denied,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// A chunk of a blob, put at [`NOW`].
pub(super) fn put(new: &NewBlob, offset: u64, length: u64) -> Put {
    Put {
        key: new.key,
        chunk: Chunk { offset, length },
        at: NOW,
    }
}

/// Room for `bytes` in a day.
fn day(bytes: u64) -> Quota {
    Quota {
        bytes_per_day_max: bytes,
        bytes_max: u64::MAX,
        uploads_max: u64::MAX,
    }
}

pub(super) fn new_blob(person: &Person, conversation: LogId, size: u64) -> NewBlob {
    NewBlob {
        blob: Uuid::now_v7().into(),
        key: ObjectKey(Uuid::new_v4().into_bytes()),
        conversation,
        account: person.account,
        size,
        at: NOW,
        quota: day(100),
    }
}

pub(super) async fn three(store: &Arc<dyn Store>) -> (Person, Person, Person, LogId) {
    let (alice, bob, eve) = (
        register(store, "alice").await,
        register(store, "bob").await,
        register(store, "eve").await,
    );
    let conversation = converse(store, &alice, ConversationKind::Direct, &[&bob]).await;
    (alice, bob, eve, conversation)
}

pub(crate) async fn a_blob_grows_chunk_by_chunk(store: Arc<dyn Store>) {
    let (alice, bob, _, conversation) = three(&store).await;
    let new = new_blob(&alice, conversation, 10);
    let begun = Blob {
        key: new.key,
        conversation,
        account: alice.account,
        size: 10,
        offset: 0,
    };
    assert_eq!(store.blob_create(new).await.unwrap(), begun);
    for (offset, length) in [(0, 4), (4, 1), (5, 5)] {
        let grown = store
            .blob_advance(new.blob, alice.account, put(&new, offset, length))
            .await
            .unwrap();
        assert_eq!(
            grown,
            Blob {
                offset: offset + length,
                ..begun
            }
        );
        assert_eq!(store.blob(new.blob, bob.account).await.unwrap(), grown, "members see it");
        assert_eq!(store.blob_create(new).await.unwrap(), grown, "announced again, it goes on");
    }
    let chunks = async |offset, length| {
        let chunks = store.blob_chunks(new.blob, offset, length).await.unwrap();
        chunks.into_iter().map(|c| (c.offset, c.length)).collect::<Vec<_>>()
    };
    assert_eq!(chunks(0, 10).await, [(0, 4), (4, 1), (5, 5)]);
    assert_eq!(chunks(3, 1).await, [(0, 4)]);
    assert_eq!(chunks(3, 2).await, [(0, 4), (4, 1)]);
    assert_eq!(chunks(5, u64::MAX).await, [(5, 5)]);
    assert_eq!(chunks(10, 5).await, []);
}

pub(crate) async fn a_blob_goes_on_only_where_it_ends(store: Arc<dyn Store>) {
    let (alice, bob, _, conversation) = three(&store).await;
    let new = new_blob(&alice, conversation, 10);
    store.blob_create(new).await.unwrap();
    store.blob_advance(new.blob, alice.account, put(&new, 0, 4)).await.unwrap();
    for offset in [0, 3, 5] {
        let elsewhere = store.blob_advance(new.blob, alice.account, put(&new, offset, 1)).await;
        assert!(matches!(denied(elsewhere), Denied::Conflict(_)), "{offset}");
    }
    for length in [0, 7] {
        let outside = store.blob_advance(new.blob, alice.account, put(&new, 4, length)).await;
        assert!(matches!(denied(outside), Denied::BadRequest(_)), "{length}");
    }
    let foreign = store.blob_advance(new.blob, bob.account, put(&new, 4, 1)).await;
    assert!(matches!(denied(foreign), Denied::NotFound(_)));
    assert_eq!(store.blob(new.blob, alice.account).await.unwrap().offset, 4);
}

pub(crate) async fn an_id_stands_for_one_blob(store: Arc<dyn Store>) {
    let (alice, bob, _, conversation) = three(&store).await;
    let new = new_blob(&alice, conversation, 10);
    store.blob_create(new).await.unwrap();
    let others = [
        NewBlob { size: 11, ..new },
        NewBlob {
            account: bob.account,
            ..new
        },
        NewBlob {
            conversation: converse(&store, &alice, ConversationKind::Group, &[&bob]).await,
            ..new
        },
    ];
    for other in others {
        assert!(matches!(denied(store.blob_create(other).await), Denied::Conflict(_)), "{other:?}");
    }
}

pub(crate) async fn a_strangers_blob_is_not_found(store: Arc<dyn Store>) {
    let (alice, bob, eve, conversation) = three(&store).await;
    let new = new_blob(&alice, conversation, 10);
    store.blob_create(new).await.unwrap();
    assert!(matches!(denied(store.blob(new.blob, eve.account).await), Denied::NotFound(_)));
    assert!(matches!(
        denied(store.blob(BlobId([9; 16]), bob.account).await),
        Denied::NotFound(_)
    ));
    assert_eq!(denied(store.blob_create(new_blob(&eve, conversation, 10)).await), Denied::NotMember);
    assert_eq!(
        denied(store.blob_create(new_blob(&eve, LogId([9; 16]), 10)).await),
        Denied::NotMember
    );
    let inbox = LogId::inbox_of(eve.device);
    assert_eq!(
        denied(store.blob_create(new_blob(&eve, inbox, 10)).await),
        Denied::NotMember,
        "an inbox is no conversation"
    );
}

pub(crate) async fn who_left_neither_reads_nor_puts(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let group = converse(&store, &alice, ConversationKind::Group, &[&bob]).await;
    let new = new_blob(&bob, group, 10);
    store.blob_create(new).await.unwrap();
    store.leave(group, bob.actor(), Uuid::now_v7().into(), NOW).await.unwrap();
    assert!(matches!(denied(store.blob(new.blob, bob.account).await), Denied::NotFound(_)));
    let put = store.blob_advance(new.blob, bob.account, put(&new, 0, 1)).await;
    assert!(matches!(denied(put), Denied::NotFound(_)));
    assert_eq!(denied(store.blob_create(new).await), Denied::NotMember);
}

pub(crate) async fn an_account_announces_so_many_bytes_a_day(store: Arc<dyn Store>) {
    let (alice, bob, _, conversation) = three(&store).await;
    let first = new_blob(&alice, conversation, 60);
    store.blob_create(first).await.unwrap();
    let second = new_blob(&alice, conversation, 41);
    assert!(matches!(denied(store.blob_create(second).await), Denied::QuotaExceeded(_)));
    store.blob_create(first).await.expect("announced again, it isn't counted again");
    store
        .blob_create(new_blob(&alice, conversation, 40))
        .await
        .expect("exactly the day's bytes");
    store
        .blob_create(new_blob(&bob, conversation, 100))
        .await
        .expect("each account has its own");
    assert!(matches!(
        denied(
            store
                .blob_create(NewBlob {
                    at: NOW + DAY - 1,
                    ..second
                })
                .await
        ),
        Denied::QuotaExceeded(_)
    ));
    store.blob_create(NewBlob { at: NOW + DAY, ..second }).await.expect("a day later");
}

pub(crate) async fn a_blob_comes_in_a_bounded_number_of_pieces(store: Arc<dyn Store>) {
    let (alice, _, _, conversation) = three(&store).await;
    let new = NewBlob {
        quota: day(u64::MAX),
        ..new_blob(&alice, conversation, BLOB_CHUNKS_MAX as u64 + 1)
    };
    store.blob_create(new).await.unwrap();
    for offset in 0..BLOB_CHUNKS_MAX as u64 {
        store.blob_advance(new.blob, alice.account, put(&new, offset, 1)).await.unwrap();
    }
    let offset = BLOB_CHUNKS_MAX as u64;
    let over = store.blob_advance(new.blob, alice.account, put(&new, offset, 1)).await;
    assert!(matches!(denied(over), Denied::QuotaExceeded(_)));
}

pub(crate) async fn an_account_has_so_many_blobs_under_way_and_so_many_bytes_in_all(store: Arc<dyn Store>) {
    let (alice, bob, _, conversation) = three(&store).await;
    let quota = Quota {
        bytes_per_day_max: u64::MAX,
        bytes_max: 10,
        uploads_max: 2,
    };
    let new = |person: &Person, size| NewBlob {
        quota,
        ..new_blob(person, conversation, size)
    };
    let first = new(&alice, 6);
    store.blob_create(first).await.unwrap();
    assert!(matches!(denied(store.blob_create(new(&alice, 5)).await), Denied::QuotaExceeded(_)));
    store.blob_create(new(&alice, 3)).await.unwrap();
    let third = new(&alice, 1);
    assert!(matches!(denied(store.blob_create(third).await), Denied::QuotaExceeded(_)));
    store
        .blob_advance(first.blob, alice.account, put(&first, 0, 6))
        .await
        .expect("what was announced is taken");
    store.blob_create(third).await.expect("one is whole: another may begin");
    store.blob_create(new(&bob, 10)).await.expect("each account has its own");
}

pub(crate) async fn bytes_under_the_key_of_before_do_not_count(store: Arc<dyn Store>) {
    let (alice, _, _, conversation) = three(&store).await;
    let before = new_blob(&alice, conversation, 4);
    store.blob_create(before).await.unwrap();
    let removed = store.sweep().blob_remove(before.blob, Removal::Unfinished, NOW, NOW).await.unwrap();
    assert_eq!(removed, Some(before.key));
    let again = NewBlob {
        key: ObjectKey(Uuid::new_v4().into_bytes()),
        ..before
    };
    assert_eq!(store.blob_create(again).await.unwrap().key, again.key);
    let late = store.blob_advance(before.blob, alice.account, put(&before, 0, 4)).await;
    assert!(matches!(denied(late), Denied::Conflict(_)));
    store.blob_advance(again.blob, alice.account, put(&again, 0, 4)).await.unwrap();
}
