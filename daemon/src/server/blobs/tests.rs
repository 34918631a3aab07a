//! What a sweep removes, and what it never does.

use super::{BlobMeasures, Blobs, Objects, Sweeper, sweep::Outcome};
use crate::store::{
    Store,
    blobs::{Chunk, NewBlob, ObjectKey, Put, Quota},
    conformance::people::{Person, converse, register},
    sqlite::SqliteStore,
};
use bytes::Bytes;
use fastchat_wire::{LogId, chat::create::ConversationKind, control::BlobPolicy};
use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::watch;
use uuid::Uuid;

const NOW: u64 = 1_800_000_000_000;
const UPLOAD_MS: u64 = 1_000;
const WALK_MS: u64 = 10_000;

/// A store, a folder, and a clock that stands.
struct World {
    store: Arc<dyn Store>,
    objects: Objects,
    sweeper: Sweeper,
    policy: watch::Sender<BlobPolicy>,
    clock: Arc<AtomicU64>,
    alice: Person,
    conversation: LogId,
    folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("fastchat.db").display());
        fastchat_schema::migrate(&url).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::new(fastchat_schema::Database::open(&url).await.unwrap()));
        let objects = Objects::open(folder.path().join("blobs").to_str().unwrap()).unwrap();
        let clock = Arc::new(AtomicU64::new(NOW));
        let policy = watch::Sender::new(BlobPolicy {
            upload_ms: UPLOAD_MS,
            walk_ms: WALK_MS,
            ..BlobPolicy::default()
        });
        let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
        let conversation = converse(&store, &alice, ConversationKind::Direct, &[&bob]).await;
        let sweeper = Sweeper {
            server: "s1".to_owned(),
            store: Arc::clone(&store),
            objects: objects.clone(),
            policy: policy.subscribe(),
            measures: BlobMeasures::register(&prometheus::Registry::new()).unwrap(),
            clock: Box::new({
                let clock = Arc::clone(&clock);
                move || clock.load(Ordering::Relaxed)
            }),
        };
        Self {
            store,
            objects,
            sweeper,
            policy,
            clock,
            alice,
            conversation,
            folder,
        }
    }

    /// So many ms later.
    fn later(&self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    /// A blob of 8 bytes, of which so many pieces of 4 came.
    async fn blob(&self, pieces: u64) -> NewBlob {
        let new = NewBlob {
            blob: Uuid::now_v7().into(),
            key: Blobs::new_key(),
            conversation: self.conversation,
            account: self.alice.account,
            size: 8,
            at: self.now(),
            quota: Quota {
                bytes_per_day_max: u64::MAX,
                bytes_max: u64::MAX,
                uploads_max: u64::MAX,
            },
        };
        self.store.blob_create(new).await.unwrap();
        for piece in 0..pieces {
            self.put(&new, piece * 4).await;
        }
        new
    }

    async fn put(&self, new: &NewBlob, offset: u64) {
        let chunk = Chunk { offset, length: 4 };
        self.objects.put(new.key, chunk, Bytes::from_static(b"abcd")).await.unwrap();
        let put = Put {
            key: new.key,
            chunk,
            at: self.now(),
        };
        self.store.blob_advance(new.blob, self.alice.account, put).await.unwrap();
    }

    async fn sweep(&self) -> Outcome {
        self.sweeper.round().await.unwrap()
    }

    fn folder(&self, key: ObjectKey) -> PathBuf {
        self.folder.path().join("blobs").join(key.to_string())
    }

    async fn is_there(&self, new: &NewBlob) -> bool {
        let row = self.store.blob(new.blob, self.alice.account).await.is_ok();
        assert_eq!(row, self.folder(new.key).exists(), "row and objects go together");
        row
    }
}

#[tokio::test]
async fn an_upload_that_nobody_goes_on_with_is_removed_and_one_that_moves_is_not() {
    let world = World::new().await;
    let (left, moving, whole) = (world.blob(1).await, world.blob(1).await, world.blob(2).await);
    world.later(UPLOAD_MS - 1);
    assert_eq!(world.sweep().await, Outcome::Done);
    assert!(world.is_there(&left).await, "its time is not over");
    world.store.blob_create(NewBlob { at: world.now(), ..moving }).await.unwrap();
    world.later(1);
    assert_eq!(world.sweep().await, Outcome::Done);
    assert!(!world.is_there(&left).await);
    assert!(world.is_there(&moving).await && world.is_there(&whole).await);
    world.put(&moving, 4).await;
    world.later(10 * UPLOAD_MS);
    world.sweep().await;
    assert!(
        world.is_there(&moving).await && world.is_there(&whole).await,
        "what is whole is kept"
    );
    let removed = |why: &str| world.sweeper.measures.removed.with_label_values(&[why]).get();
    assert_eq!((removed("unfinished"), removed("aged")), (1, 0));
}

#[tokio::test]
async fn a_whole_blob_goes_when_the_policy_says_so() {
    let world = World::new().await;
    let whole = world.blob(2).await;
    world.policy.send_modify(|policy| policy.retention_ms = 5_000);
    world.later(4_999);
    world.sweep().await;
    assert!(world.is_there(&whole).await);
    world.later(1);
    world.sweep().await;
    assert!(!world.is_there(&whole).await);
}

#[tokio::test]
async fn objects_that_no_row_names_go_and_those_of_a_blob_stay() {
    let world = World::new().await;
    let (open, whole) = (world.blob(1).await, world.blob(2).await);
    // What a server leaves that died between the row's removal and the objects', or in the middle of a write.
    let nobodys = world.folder(Blobs::new_key());
    fs::create_dir(&nobodys).unwrap();
    fs::write(nobodys.join("0-4#1"), "ab").unwrap();
    let empty = world.folder(Blobs::new_key());
    fs::create_dir(&empty).unwrap();
    let foreign = world.folder.path().join("blobs/lost+found");
    fs::create_dir(&foreign).unwrap();
    for new in [&open, &whole] {
        fs::write(world.folder(new.key).join("4-4#1"), "ab").unwrap();
    }
    assert_eq!(world.sweep().await, Outcome::Done);
    assert!(!nobodys.exists() && !empty.exists());
    assert!(foreign.exists(), "what is not ours is left alone");
    assert!(world.is_there(&open).await && world.is_there(&whole).await);
    assert!(!world.folder(whole.key).join("4-4#1").exists());
    assert!(world.folder(open.key).join("4-4#1").exists(), "it may be written at this moment");
    assert_eq!(world.sweeper.measures.orphans.get(), 2);
    let read = world.objects.get(whole.key, &[Chunk { offset: 4, length: 4 }], 4, 4).await;
    assert_eq!(read.unwrap(), "abcd");
    // The next comparison comes when its time is there.
    fs::create_dir(&empty).unwrap();
    world.later(WALK_MS - 1);
    world.sweep().await;
    assert!(empty.exists());
    world.later(1);
    world.sweep().await;
    assert!(!empty.exists());
}

#[tokio::test]
async fn a_row_whose_objects_are_gone_is_told_and_removed_if_they_do_not_come_back() {
    let world = World::new().await;
    let (gone, back, cut) = (world.blob(2).await, world.blob(2).await, world.blob(2).await);
    world.sweep().await;
    let aside = world.folder.path().join("aside");
    fs::rename(world.folder(back.key), &aside).unwrap();
    fs::remove_dir_all(world.folder(gone.key)).unwrap();
    fs::write(world.folder(cut.key).join("4-4"), "ab").unwrap();
    world.later(WALK_MS);
    world.sweep().await;
    assert_eq!(world.sweeper.measures.lost.get(), 3);
    for new in [&gone, &back, &cut] {
        world
            .store
            .blob(new.blob, world.alice.account)
            .await
            .expect("it is not removed at once");
    }
    fs::rename(&aside, world.folder(back.key)).unwrap();
    world.later(WALK_MS);
    world.sweep().await;
    assert!(!world.is_there(&gone).await && !world.is_there(&cut).await);
    assert!(world.is_there(&back).await);
}

#[tokio::test]
async fn a_folder_that_is_not_known_to_be_ours_is_left_alone() {
    let world = World::new().await;
    let whole = world.blob(2).await;
    world.sweep().await;
    // The disk isn't mounted: an empty folder stands there.
    let (blobs, aside) = (world.folder.path().join("blobs"), world.folder.path().join("aside"));
    fs::rename(&blobs, &aside).unwrap();
    fs::create_dir(&blobs).unwrap();
    for _ in 0..3 {
        world.later(WALK_MS);
        assert_eq!(world.sweep().await, Outcome::Foreign);
    }
    // Another fleet's.
    fs::write(blobs.join("store"), Uuid::now_v7().to_string()).unwrap();
    fs::create_dir(world.folder(Blobs::new_key())).unwrap();
    assert_eq!(world.sweep().await, Outcome::Foreign);
    assert_eq!(fs::read_dir(&blobs).unwrap().count(), 2);
    fs::remove_dir_all(&blobs).unwrap();
    fs::rename(&aside, &blobs).unwrap();
    assert_eq!(world.sweep().await, Outcome::Done);
    assert!(world.is_there(&whole).await);
}

#[tokio::test]
async fn a_backup_and_another_servers_turn_stop_a_sweep() {
    let world = World::new().await;
    let left = world.blob(1).await;
    world.later(UPLOAD_MS);
    world.store.sweep().sweep_turn("s2", world.now(), world.now() + 500).await.unwrap();
    assert_eq!(world.sweep().await, Outcome::Another);
    world.store.sweep().sweep_pause(world.now() + 600).await.unwrap();
    world.later(500);
    assert_eq!(world.sweep().await, Outcome::Paused);
    assert!(world.is_there(&left).await);
    world.later(100);
    assert_eq!(world.sweep().await, Outcome::Done);
    assert!(!world.is_there(&left).await);
}
