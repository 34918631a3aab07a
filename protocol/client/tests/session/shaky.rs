//! Transfers over servers that fail at random: what arrives is what was sent.

use crate::{
    fake::{Fake, LOG, Peer, Subject, soon},
    transfer::{BLOB, content, file, read},
};
use fastchat_client::transfer::{download, upload};
use fastchat_wire::{
    Block, Code, Kind, Op,
    chat::{
        blob_create::BlobCreated,
        blob_get::{BlobGet, BlobRange},
        blob_put::{BlobPut, BlobStored},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

const CHUNK: u64 = 30_000;

/// What the fleet keeps of one blob.
struct Kept {
    size: u64,
    bytes: Vec<u8>,
    rng: StdRng,
}

impl Kept {
    /// One connection, until it is lost at random, or the client is done.
    async fn serve(&mut self, mut peer: Peer) {
        while let Some(frame) = peer.next().await {
            let Kind::Request { op: Some(op), id } = frame.head.kind else {
                panic!("{frame:?}");
            };
            let fate = self.rng.random_range(0..20);
            match fate {
                0 => return,
                1..=3 => {
                    let retry_after = self.rng.random_bool(0.5).then_some(5);
                    peer.refuse(id, Code::Unavailable, retry_after).await;
                    continue;
                }
                _ => {}
            }
            // With this one it is done, but the client doesn't hear of it.
            let is_unheard = fate == 4;
            match op {
                Op::BlobCreate => {
                    let created = BlobCreated {
                        offset: self.bytes.len() as u64,
                        chunk: CHUNK,
                    };
                    peer.answer(id, &created, Block::none()).await;
                }
                Op::BlobPut => {
                    let put: BlobPut = frame.parse().unwrap();
                    if put.offset != self.bytes.len() as u64 {
                        peer.refuse(id, Code::Conflict, None).await;
                        continue;
                    }
                    self.bytes.extend_from_slice(&frame.block);
                    if is_unheard {
                        return;
                    }
                    let offset = self.bytes.len() as u64;
                    let stored = BlobStored {
                        offset,
                        complete: offset == self.size,
                    };
                    peer.answer(id, &stored, Block::none()).await;
                }
                Op::BlobGet => {
                    let get: BlobGet = frame.parse().unwrap();
                    let length = if is_unheard { get.length.div_ceil(3) } else { get.length };
                    let (from, to) = (get.offset as usize, (get.offset + length) as usize);
                    let bytes = self.bytes[from..to].to_vec();
                    peer.answer(id, &BlobRange { size: self.size }, Block::binary(bytes)).await;
                }
                op => panic!("{op:?}"),
            }
        }
    }

    /// Connection after connection.
    async fn serve_all(&mut self, balancer: &Fake, server: &Fake) {
        loop {
            balancer.assign(server, 0).await;
            let peer = server.sign_on("t1", 0).await;
            self.serve(peer).await;
        }
    }
}

#[tokio::test]
async fn whatever_happens_the_bytes_arrive_as_they_were_sent() {
    for seed in 0..4 {
        println!("seed {seed}");
        let (balancer, server) = (Fake::new().await, Fake::new().await);
        let subject = Subject::start(&balancer);
        let handle = subject.session.handle();
        let bytes = content(1_000_003);
        let mut kept = Kept {
            size: bytes.len() as u64,
            bytes: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
        };
        let mut target = tempfile::tempfile().unwrap();
        let transfers = async {
            upload(&handle, LOG, BLOB, file(&bytes), |_, _| {}).await.unwrap();
            download(&handle, BLOB, bytes.len() as u64, target.try_clone().unwrap(), 0, |_, _| {})
                .await
                .unwrap();
        };
        tokio::select! {
            () = soon(transfers) => {}
            () = kept.serve_all(&balancer, &server) => {}
        }
        assert!(kept.bytes == bytes);
        assert!(read(&mut target) == bytes);
    }
}
