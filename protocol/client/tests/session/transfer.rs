//! Blobs go up and come down whole, whatever happens to the connection.

use crate::fake::{Asked, Fake, LOG, Peer, Subject, soon};
use bytes::Bytes;
use fastchat_client::{
    Failure,
    limits::{RANGE_BYTES, TRANSFER_FAILURES_MAX},
    transfer::{TransferError, download, upload},
};
use fastchat_wire::{
    BlobId, Block, Code,
    chat::{
        blob_create::{BlobCreate, BlobCreated},
        blob_get::{BlobGet, BlobRange},
        blob_put::{BlobPut, BlobStored},
    },
};
use std::{
    collections::VecDeque,
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

pub(crate) const BLOB: BlobId = BlobId([0xb1; 16]);
const CHUNK: u64 = 1_000;

/// The progress that was told.
type Steps = Arc<Mutex<Vec<(u64, u64)>>>;

/// Bytes whose place can be told from them.
pub(crate) fn content(size: u64) -> Vec<u8> {
    (0..size).map(|n| (n % 251) as u8 ^ (n / 1_000) as u8).collect()
}

pub(crate) fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

pub(crate) fn read(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

/// A session and its server.
struct Stage {
    subject: Subject,
    balancer: Fake,
    server: Fake,
}

impl Stage {
    async fn new() -> (Self, Peer) {
        let (balancer, server) = (Fake::new().await, Fake::new().await);
        let subject = Subject::start(&balancer);
        let stage = Self { subject, balancer, server };
        let peer = stage.again().await;
        (stage, peer)
    }

    /// The session comes (back).
    async fn again(&self) -> Peer {
        self.balancer.assign(&self.server, 0).await;
        self.server.sign_on("t1", 0).await
    }

    fn upload(&self, size: u64) -> (JoinHandle<Result<(), TransferError>>, Steps) {
        let (handle, steps) = (self.subject.session.handle(), Steps::default());
        let told = Arc::clone(&steps);
        let sealed = file(&content(size));
        let task =
            tokio::spawn(async move { upload(&handle, LOG, BLOB, sealed, |done, total| told.lock().unwrap().push((done, total))).await });
        (task, steps)
    }

    fn download(&self, size: u64, target: &File) -> (JoinHandle<Result<(), TransferError>>, Steps) {
        let (handle, steps) = (self.subject.session.handle(), Steps::default());
        let told = Arc::clone(&steps);
        let target = target.try_clone().unwrap();
        let task = tokio::spawn(async move {
            download(&handle, BLOB, size, target, 0, |done, total| {
                told.lock().unwrap().push((done, total));
            })
            .await
        });
        (task, steps)
    }
}

async fn outcome(task: JoinHandle<Result<(), TransferError>>) -> Result<(), TransferError> {
    soon(task).await.unwrap()
}

async fn failed(task: JoinHandle<Result<(), TransferError>>) -> Failure {
    match outcome(task).await {
        Err(TransferError::Failure(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

impl Peer {
    /// Answers `blob-create`.
    async fn create(&mut self, size: u64, offset: u64) {
        let asked = self.expect::<BlobCreate>().await;
        let expected = BlobCreate {
            blob: BLOB,
            size,
            conversation: LOG,
        };
        assert_eq!(asked.request, expected);
        self.answer(asked.id, &BlobCreated { offset, chunk: CHUNK }, Block::none()).await;
    }

    /// Takes a `blob-put`, which must hold these bytes of the file.
    async fn piece(&mut self, size: u64, offset: u64, length: u64) -> Asked<BlobPut> {
        let asked = self.expect::<BlobPut>().await;
        assert_eq!(asked.request, BlobPut { blob: BLOB, offset });
        let (from, to) = (offset as usize, (offset + length) as usize);
        assert_eq!(asked.block, content(size)[from..to]);
        asked
    }

    async fn store(&mut self, size: u64, offset: u64, length: u64) {
        let asked = self.piece(size, offset, length).await;
        self.stored(asked.id, offset + length, offset + length == size).await;
    }

    async fn stored(&mut self, id: u64, offset: u64, complete: bool) {
        self.answer(id, &BlobStored { offset, complete }, Block::none()).await;
    }

    /// Takes a `blob-get`, which must ask for this range.
    async fn range(&mut self, offset: u64, length: u64) -> u64 {
        let asked = self.expect::<BlobGet>().await;
        assert_eq!((asked.request.offset, asked.request.length), (offset, length));
        asked.id
    }

    async fn serve(&mut self, id: u64, size: u64, bytes: &[u8]) {
        self.answer(id, &BlobRange { size }, Block::binary(Bytes::copy_from_slice(bytes)))
            .await;
    }
}

#[tokio::test]
async fn a_file_goes_up_in_pieces() {
    let (stage, mut peer) = Stage::new().await;
    let (task, steps) = stage.upload(2_500);
    peer.create(2_500, 0).await;
    for (offset, length) in [(0, 1_000), (1_000, 1_000), (2_000, 500)] {
        peer.store(2_500, offset, length).await;
    }
    outcome(task).await.unwrap();
    let expected = [0, 1_000, 2_000, 2_500].map(|done| (done, 2_500));
    assert_eq!(*steps.lock().unwrap(), expected);
}

#[tokio::test]
async fn an_upload_goes_on_where_the_blob_ends_and_a_whole_one_puts_nothing() {
    let (stage, mut peer) = Stage::new().await;
    let (task, _) = stage.upload(2_500);
    peer.create(2_500, 1_234).await;
    peer.store(2_500, 1_234, 1_000).await;
    peer.store(2_500, 2_234, 266).await;
    outcome(task).await.unwrap();
    let (task, steps) = stage.upload(2_500);
    peer.create(2_500, 2_500).await;
    outcome(task).await.unwrap();
    assert_eq!(*steps.lock().unwrap(), [(2_500, 2_500)]);
}

#[tokio::test]
async fn an_upload_whose_connection_is_lost_asks_where_to_go_on() {
    let (stage, mut peer) = Stage::new().await;
    let (task, _) = stage.upload(2_500);
    peer.create(2_500, 0).await;
    peer.store(2_500, 0, 1_000).await;
    // It is stored, but nobody hears of it.
    peer.piece(2_500, 1_000, 1_000).await;
    drop(peer);
    let mut peer = stage.again().await;
    peer.create(2_500, 2_000).await;
    peer.store(2_500, 2_000, 500).await;
    outcome(task).await.unwrap();
}

#[tokio::test]
async fn a_conflict_asks_where_to_go_on_and_the_present_state_may_be_further() {
    let (stage, mut peer) = Stage::new().await;
    let (task, _) = stage.upload(4_000);
    peer.create(4_000, 0).await;
    let asked = peer.piece(4_000, 0, 1_000).await;
    peer.refuse(asked.id, Code::Conflict, None).await;
    // Those that were on their way behind it are refused as well, and mean nothing any more.
    for offset in [1_000, 2_000, 3_000] {
        let asked = peer.piece(4_000, offset, 1_000).await;
        peer.refuse(asked.id, Code::Conflict, None).await;
    }
    peer.create(4_000, 1_000).await;
    let asked = peer.piece(4_000, 1_000, 1_000).await;
    peer.stored(asked.id, 3_000, false).await;
    let asked = peer.piece(4_000, 2_000, 1_000).await;
    peer.stored(asked.id, 3_000, false).await;
    peer.store(4_000, 3_000, 1_000).await;
    outcome(task).await.unwrap();
}

#[tokio::test]
async fn four_pieces_are_on_their_way_at_a_time() {
    let (stage, mut peer) = Stage::new().await;
    let (task, steps) = stage.upload(6_000);
    peer.create(6_000, 0).await;
    let mut sent = VecDeque::new();
    for offset in [0, 1_000, 2_000, 3_000] {
        sent.push_back(peer.piece(6_000, offset, 1_000).await.id);
    }
    assert_eq!(*steps.lock().unwrap(), [(0, 6_000)], "sent, and not yet stored");
    for offset in [1_000, 2_000] {
        let id = sent.pop_front().unwrap();
        peer.stored(id, offset, false).await;
        sent.push_back(peer.piece(6_000, offset + 3_000, 1_000).await.id);
    }
    for (id, offset) in sent.into_iter().zip([3_000, 4_000, 5_000, 6_000]) {
        peer.stored(id, offset, offset == 6_000).await;
    }
    outcome(task).await.unwrap();
}

#[tokio::test]
async fn what_may_pass_is_tried_again_when_the_server_says_so() {
    let (stage, mut peer) = Stage::new().await;
    let (task, _) = stage.upload(500);
    let asked = peer.expect::<BlobCreate>().await;
    peer.refuse(asked.id, Code::Unavailable, None).await;
    peer.create(500, 0).await;
    let asked = peer.piece(500, 0, 500).await;
    peer.refuse(asked.id, Code::RateLimited, Some(150)).await;
    let refused = Instant::now();
    peer.create(500, 0).await;
    assert!(refused.elapsed() >= Duration::from_millis(145));
    peer.store(500, 0, 500).await;
    outcome(task).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_emptied_is_left() {
    let (stage, mut peer) = Stage::new().await;
    let (task, _) = stage.upload(500);
    let asked = peer.expect::<BlobCreate>().await;
    peer.refuse(asked.id, Code::Draining, None).await;
    peer.expect_end().await;
    let mut peer = stage.again().await;
    peer.create(500, 0).await;
    peer.store(500, 0, 500).await;
    outcome(task).await.unwrap();
}

#[tokio::test]
async fn what_is_final_is_told() {
    let (stage, mut peer) = Stage::new().await;
    for code in [Code::QuotaExceeded, Code::NotMember, Code::Conflict, Code::BadRequest] {
        let (task, _) = stage.upload(500);
        let asked = peer.expect::<BlobCreate>().await;
        peer.refuse(asked.id, code, None).await;
        assert_eq!(failed(task).await.code(), Some(code));
    }
    for code in [Code::Forbidden, Code::NotFound, Code::QuotaExceeded] {
        let (task, _) = stage.upload(500);
        peer.create(500, 0).await;
        let asked = peer.piece(500, 0, 500).await;
        peer.refuse(asked.id, code, None).await;
        assert_eq!(failed(task).await.code(), Some(code));
    }
    let target = tempfile::tempfile().unwrap();
    let (task, _) = stage.download(500, &target);
    let id = peer.range(0, 500).await;
    peer.refuse(id, Code::NotFound, None).await;
    assert_eq!(failed(task).await.code(), Some(Code::NotFound));
}

#[tokio::test]
async fn a_server_that_never_gets_further_is_given_up() {
    let (stage, mut peer) = Stage::new().await;
    let (task, _) = stage.upload(500);
    for _ in 0..=TRANSFER_FAILURES_MAX {
        peer.create(500, 0).await;
        let asked = peer.piece(500, 0, 500).await;
        peer.refuse(asked.id, Code::Conflict, None).await;
    }
    assert_eq!(failed(task).await.code(), Some(Code::Conflict));
}

#[tokio::test]
async fn states_that_contradict_themselves_are_not_believed() {
    let (stage, mut peer) = Stage::new().await;
    for (offset, complete) in [(0, false), (499, false), (501, true), (500, false), (u64::MAX >> 11, true)] {
        let (task, _) = stage.upload(500);
        peer.create(500, 0).await;
        let asked = peer.piece(500, 0, 500).await;
        peer.stored(asked.id, offset, complete).await;
        assert!(matches!(failed(task).await, Failure::Misbehaved(_)), "{offset} {complete}");
    }
}

#[tokio::test]
async fn a_session_that_is_over_ends_a_transfer() {
    let (stage, mut peer) = Stage::new().await;
    let (task, _) = stage.upload(500);
    peer.create(500, 0).await;
    peer.piece(500, 0, 500).await;
    stage.subject.session.close();
    assert!(matches!(failed(task).await, Failure::Lost(_)));
    peer.expect_end().await;
}

#[tokio::test]
async fn a_session_that_is_dropped_leaves_no_connection_to_its_handles() {
    let (stage, mut peer) = Stage::new().await;
    let handle = stage.subject.session.handle();
    drop(stage);
    peer.expect_end().await;
    assert!(matches!(soon(handle.connection()).await, Err(Failure::Lost(_))));
}

#[tokio::test]
async fn a_file_comes_down_in_two_ranges_at_a_time_whichever_is_answered_first() {
    let (stage, mut peer) = Stage::new().await;
    let size = 2 * RANGE_BYTES + 10;
    let bytes = content(size);
    let (first, rest) = bytes.split_at(RANGE_BYTES as usize);
    let (second, third) = rest.split_at(RANGE_BYTES as usize);
    let mut target = tempfile::tempfile().unwrap();
    let (task, steps) = stage.download(size, &target);
    let (one, two) = (peer.range(0, RANGE_BYTES).await, peer.range(RANGE_BYTES, RANGE_BYTES).await);
    peer.serve(two, size, second).await;
    peer.serve(one, size, first).await;
    let three = peer.range(2 * RANGE_BYTES, 10).await;
    peer.serve(three, size, third).await;
    outcome(task).await.unwrap();
    assert!(read(&mut target) == bytes);
    let expected = [RANGE_BYTES, 2 * RANGE_BYTES, size].map(|done| (done, size));
    assert_eq!(*steps.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_download_goes_on_behind_what_is_in_the_file() {
    let (stage, mut peer) = Stage::new().await;
    let size = 3 * RANGE_BYTES;
    let bytes = content(size);
    let range = |n: u64| &bytes[(n * RANGE_BYTES) as usize..((n + 1) * RANGE_BYTES) as usize];
    let mut target = tempfile::tempfile().unwrap();
    let (task, _) = stage.download(size, &target);
    let id = peer.range(0, RANGE_BYTES).await;
    peer.serve(id, size, range(0)).await;
    peer.range(RANGE_BYTES, RANGE_BYTES).await;
    // The third one is answered, the second never.
    let id = peer.range(2 * RANGE_BYTES, RANGE_BYTES).await;
    peer.serve(id, size, range(2)).await;
    drop(peer);
    let mut peer = stage.again().await;
    let id = peer.range(RANGE_BYTES, RANGE_BYTES).await;
    peer.refuse(id, Code::Overloaded, Some(1)).await;
    peer.range(2 * RANGE_BYTES, RANGE_BYTES).await;
    for n in 1..3 {
        let id = peer.range(n * RANGE_BYTES, RANGE_BYTES).await;
        peer.serve(id, size, range(n)).await;
    }
    outcome(task).await.unwrap();
    assert!(read(&mut target) == bytes);
}

#[tokio::test]
async fn a_short_answer_is_completed_before_what_follows() {
    let (stage, mut peer) = Stage::new().await;
    let size = RANGE_BYTES + 100;
    let bytes = content(size);
    let mut target = tempfile::tempfile().unwrap();
    let (task, _) = stage.download(size, &target);
    let (one, two) = (peer.range(0, RANGE_BYTES).await, peer.range(RANGE_BYTES, 100).await);
    peer.serve(one, size, &bytes[..7]).await;
    peer.serve(two, size, &bytes[RANGE_BYTES as usize..]).await;
    let (one, two) = (peer.range(7, RANGE_BYTES).await, peer.range(RANGE_BYTES + 7, 93).await);
    peer.serve(one, size, &bytes[7..RANGE_BYTES as usize + 7]).await;
    peer.serve(two, size, &bytes[RANGE_BYTES as usize + 7..]).await;
    outcome(task).await.unwrap();
    assert!(read(&mut target) == bytes);
}

#[tokio::test]
async fn answers_of_another_size_or_without_bytes_or_with_too_many_are_not_believed() {
    let (stage, mut peer) = Stage::new().await;
    for (size, length) in [(501, 500), (499, 499), (0, 0), (500, 0), (500, 501)] {
        let mut target = tempfile::tempfile().unwrap();
        let (task, _) = stage.download(500, &target);
        let id = peer.range(0, 500).await;
        peer.serve(id, size, &content(length)).await;
        let error = outcome(task).await.unwrap_err();
        let is_told = match error {
            TransferError::AnotherSize { found, announced } => (found, announced) == (size, 500) && size != 500,
            error => size == 500 && matches!(error, TransferError::Failure(Failure::Misbehaved(_))),
        };
        assert!(is_told, "{size} {length}");
        assert!(read(&mut target).is_empty());
    }
}

#[tokio::test]
async fn a_full_disk_ends_a_download_and_says_so() {
    let (stage, mut peer) = Stage::new().await;
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (task, _) = stage.download(500, &full);
    let id = peer.range(0, 500).await;
    peer.serve(id, 500, &content(500)).await;
    let error = outcome(task).await.unwrap_err();
    assert!(matches!(error, TransferError::File(_)), "{error:?}");
    assert!(error.to_string().starts_with("no room left"), "{error}");
}
