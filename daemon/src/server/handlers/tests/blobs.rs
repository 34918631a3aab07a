//! Blobs, as they cross the wire.

use super::{Person, World, code, run};
use fastchat_wire::{
    BlobId, Block, Code, LogId,
    chat::{blob_create::BlobCreate, blob_get::BlobGet, blob_put::BlobPut, create::ConversationKind},
    control::BlobPolicy,
    limits::{BLOB_BYTES_MAX, BLOB_BYTES_PER_DAY_MAX, BLOB_CHUNK_BYTES_MAX},
};
use uuid::Uuid;

async fn three(world: &World) -> (Person, Person, Person, LogId) {
    let (alice, bob, eve) = (
        world.register("alice").await,
        world.register("bob").await,
        world.register("eve").await,
    );
    let conversation = world.converse(ConversationKind::Direct, &alice, &[&bob]).await;
    (alice, bob, eve, conversation)
}

fn create(conversation: LogId, size: u64) -> BlobCreate {
    BlobCreate {
        blob: Uuid::now_v7().into(),
        size,
        conversation,
    }
}

#[tokio::test]
async fn a_blob_comes_out_as_it_went_in_for_every_member() {
    let world = World::new().await;
    let (alice, bob, _, conversation) = three(&world).await;
    // Over one answer's worth, so that it takes several puts and several gets.
    let bytes: Vec<u8> = (0..3 * BLOB_CHUNK_BYTES_MAX as u32 + 50_000).map(|n| (n % 251) as u8).collect();
    let announced = create(conversation, bytes.len() as u64);
    let (created, _) = run!(blob_create, world, alice, announced.clone()).unwrap();
    assert_eq!((created.offset, created.chunk), (0, BLOB_CHUNK_BYTES_MAX as u64));
    let blob = announced.blob;
    let mut offset = 0;
    for chunk in bytes.chunks(BLOB_CHUNK_BYTES_MAX) {
        let (stored, _) = run!(blob_put, world, alice, BlobPut { blob, offset }, Block::binary(chunk.to_vec())).unwrap();
        offset += chunk.len() as u64;
        assert_eq!((stored.offset, stored.complete), (offset, offset == bytes.len() as u64));
    }
    let mut read = Vec::new();
    while read.len() < bytes.len() {
        let get = BlobGet {
            blob,
            offset: read.len() as u64,
            length: u64::MAX >> 11,
        };
        let (range, frame) = run!(blob_get, world, bob, get).unwrap();
        assert_eq!(range.size, bytes.len() as u64);
        assert!(frame.block.len() <= BLOB_CHUNK_BYTES_MAX);
        read.extend_from_slice(&frame.block);
    }
    assert!(read == bytes);
    let middle = BlobGet {
        blob,
        offset: BLOB_CHUNK_BYTES_MAX as u64 - 2,
        length: 4,
    };
    let (_, frame) = run!(blob_get, world, bob, middle).unwrap();
    assert_eq!(frame.block, bytes[BLOB_CHUNK_BYTES_MAX - 2..BLOB_CHUNK_BYTES_MAX + 2]);
}

#[tokio::test]
async fn a_put_that_is_sent_again_is_answered_again() {
    let world = World::new().await;
    let (alice, _, _, conversation) = three(&world).await;
    let announced = create(conversation, 6);
    let blob = announced.blob;
    run!(blob_create, world, alice, announced.clone()).unwrap();
    for _ in 0..2 {
        let (stored, _) = run!(blob_put, world, alice, BlobPut { blob, offset: 0 }, Block::binary("abc")).unwrap();
        assert_eq!((stored.offset, stored.complete), (3, false));
    }
    assert_eq!(
        run!(blob_create, world, alice, announced.clone()).unwrap().0.offset,
        3,
        "where to continue"
    );
    for offset in [1, 4] {
        let elsewhere = run!(blob_put, world, alice, BlobPut { blob, offset }, Block::binary("abc"));
        assert!(matches!(code(elsewhere), Code::Conflict | Code::BadRequest), "{offset}");
    }
    let (stored, _) = run!(blob_put, world, alice, BlobPut { blob, offset: 3 }, Block::binary("def")).unwrap();
    assert_eq!((stored.offset, stored.complete), (6, true));
    let whole = BlobGet {
        blob,
        offset: 0,
        length: 6,
    };
    assert_eq!(run!(blob_get, world, alice, whole).unwrap().1.block, "abcdef");
}

#[tokio::test]
async fn the_same_put_on_several_connections_at_once_is_one_put() {
    let world = World::new().await;
    let (alice, _, _, conversation) = three(&world).await;
    let announced = create(conversation, 3);
    let blob = announced.blob;
    run!(blob_create, world, alice, announced).unwrap();
    let put = async || run!(blob_put, world, alice, BlobPut { blob, offset: 0 }, Block::binary("abc"));
    for stored in futures::future::join_all((0..8).map(|_| put())).await {
        assert!(stored.unwrap().0.complete);
    }
}

#[tokio::test]
async fn a_strangers_blob_is_not_found() {
    let world = World::new().await;
    let (alice, _, eve, conversation) = three(&world).await;
    let announced = create(conversation, 3);
    let blob = announced.blob;
    assert_eq!(code(run!(blob_create, world, eve, announced.clone())), Code::NotMember);
    run!(blob_create, world, alice, announced).unwrap();
    run!(blob_put, world, alice, BlobPut { blob, offset: 0 }, Block::binary("abc")).unwrap();
    for blob in [blob, BlobId([9; 16])] {
        let get = BlobGet {
            blob,
            offset: 0,
            length: 3,
        };
        assert_eq!(code(run!(blob_get, world, eve, get)), Code::NotFound);
        assert_eq!(
            code(run!(blob_put, world, eve, BlobPut { blob, offset: 3 }, Block::binary("x"))),
            Code::NotFound
        );
    }
}

#[tokio::test]
async fn only_who_announced_a_blob_puts_its_bytes() {
    let world = World::new().await;
    let (alice, bob, _, conversation) = three(&world).await;
    let announced = create(conversation, 3);
    let blob = announced.blob;
    run!(blob_create, world, alice, announced).unwrap();
    assert_eq!(
        code(run!(blob_put, world, bob, BlobPut { blob, offset: 0 }, Block::binary("abc"))),
        Code::Forbidden
    );
}

#[tokio::test]
async fn a_blob_has_1_byte_to_64_mib_and_what_sealing_adds() {
    let world = World::new().await;
    let (alice, _, _, conversation) = three(&world).await;
    assert_eq!(code(run!(blob_create, world, alice, create(conversation, 0))), Code::BadRequest);
    assert_eq!(
        code(run!(blob_create, world, alice, create(conversation, BLOB_BYTES_MAX + 1))),
        Code::QuotaExceeded
    );
    run!(blob_create, world, alice, create(conversation, BLOB_BYTES_MAX)).unwrap();
}

#[tokio::test]
async fn an_account_announces_1_gib_a_day() {
    let world = World::new().await;
    let (alice, bob, _, conversation) = three(&world).await;
    let whole = BLOB_BYTES_PER_DAY_MAX / BLOB_BYTES_MAX;
    for _ in 0..whole {
        run!(blob_create, world, alice, create(conversation, BLOB_BYTES_MAX)).unwrap();
    }
    let rest = BLOB_BYTES_PER_DAY_MAX - whole * BLOB_BYTES_MAX;
    for (size, is_taken) in [(rest + 1, false), (rest, true), (1, false)] {
        let outcome = run!(blob_create, world, alice, create(conversation, size));
        assert_eq!(outcome.is_ok(), is_taken, "{size}");
    }
    run!(blob_create, world, bob, create(conversation, 1)).unwrap();
}

#[tokio::test]
async fn the_spec_says_how_much_an_account_may_keep_and_have_under_way() {
    let policy = BlobPolicy {
        blob_bytes_max: 100,
        account_bytes_max: 150,
        account_uploads_max: 2,
        ..BlobPolicy::default()
    };
    let world = World::with(policy).await;
    let (alice, bob, _, conversation) = three(&world).await;
    let announce = async |person: &Person, size| run!(blob_create, world, person, create(conversation, size)).map(drop);
    assert_eq!(code(announce(&alice, 101).await), Code::QuotaExceeded, "one too large");
    announce(&alice, 100).await.unwrap();
    assert_eq!(code(announce(&alice, 51).await), Code::QuotaExceeded, "too many bytes in all");
    announce(&alice, 1).await.unwrap();
    assert_eq!(code(announce(&alice, 1).await), Code::QuotaExceeded, "a third one under way");
    announce(&bob, 1).await.expect("each account has its own");
}

#[tokio::test]
async fn what_is_in_memory_is_counted_and_given_back() {
    let world = World::new().await;
    let (alice, _, _, conversation) = three(&world).await;
    let announced = create(conversation, 3);
    let blob = announced.blob;
    run!(blob_create, world, alice, announced).unwrap();
    run!(blob_put, world, alice, BlobPut { blob, offset: 0 }, Block::binary("abc")).unwrap();
    let measures = &world.context.blobs.measures;
    assert_eq!((measures.in_memory.get(), measures.bytes_in.get()), (0, 3));
}

#[tokio::test]
async fn a_put_over_the_chunk_or_beyond_the_size_is_refused() {
    let world = World::new().await;
    let (alice, _, _, conversation) = three(&world).await;
    let announced = create(conversation, 3);
    let blob = announced.blob;
    run!(blob_create, world, alice, announced).unwrap();
    for bad in [
        Block::none(),
        Block::binary("abcd"),
        Block::binary(vec![1; BLOB_CHUNK_BYTES_MAX + 1]),
    ] {
        assert_eq!(
            code(run!(blob_put, world, alice, BlobPut { blob, offset: 0 }, bad)),
            Code::BadRequest
        );
    }
}

#[tokio::test]
async fn bytes_that_are_not_there_are_not_read() {
    let world = World::new().await;
    let (alice, bob, _, conversation) = three(&world).await;
    let announced = create(conversation, 4);
    let blob = announced.blob;
    run!(blob_create, world, alice, announced).unwrap();
    run!(blob_put, world, alice, BlobPut { blob, offset: 0 }, Block::binary("ab")).unwrap();
    let get = async |offset, length| run!(blob_get, world, bob, BlobGet { blob, offset, length }).map(|(_, frame)| frame.block);
    assert_eq!(get(1, 9).await.unwrap(), "b", "as much as there is");
    assert_eq!(code(get(2, 1).await), Code::NotFound);
    assert_eq!(code(get(4, 1).await), Code::BadRequest);
    assert_eq!(code(get(0, 0).await), Code::BadRequest);
}
