//! How far an account has read is told to the fleet: in a while, together, and again where it was lost.

use crate::fake::{ACCOUNT, Fake, LOG, Peer, Subject, config, head};
use fastchat_client::{MemoryJournal, Timing};
use fastchat_wire::{
    Block, Code, Empty, Secret,
    chat::{append::Append, mark::Mark},
};
use std::time::Duration;

fn start(balancer: &Fake) -> Subject {
    let mut config = config(&[balancer]);
    config.timing = Timing {
        marks: Duration::from_millis(200),
        ..config.timing
    };
    Subject::with(config, MemoryJournal::with_token(Secret::new("t1".to_owned())))
}

async fn process(subject: &mut Subject, seqs: &[u64]) {
    for seq in seqs {
        let (entry, store) = subject.entry().await;
        assert_eq!(entry.seq(), *seq);
        subject.session.processed(&entry, &store).await.unwrap();
    }
}

/// The next request must be a mark of the log; its request's id.
async fn marked(peer: &mut Peer, through: u64) -> u64 {
    let asked = peer.expect::<Mark>().await;
    assert_eq!(
        (asked.request.conversation, asked.request.delivered, asked.request.read),
        (LOG, Some(through), None)
    );
    asked.id
}

#[tokio::test]
async fn what_was_processed_is_told_once_for_all_and_only_of_others_entries() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = start(&balancer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 0).await;
    peer.ring(&[1, 2, 3]).await;
    process(&mut subject, &[1, 2, 3]).await;
    let id = marked(&mut peer, 3).await;
    peer.answer(id, &Empty {}, Block::none()).await;
    let mut own = head(4);
    own.from = Some(ACCOUNT);
    peer.push(&own, "4").await;
    process(&mut subject, &[4]).await;
    // Had the own entry been marked, it would come before this.
    tokio::time::sleep(Duration::from_millis(500)).await;
    subject.send("x").await;
    let append = peer.expect::<Append>().await;
    peer.appended(append.id, 5).await;
    peer.ring(&[6]).await;
    // A conversation that this account has left: nobody is asked twice.
    process(&mut subject, &[5, 6]).await;
    let id = marked(&mut peer, 6).await;
    peer.refuse(id, Code::NotMember, None).await;
    peer.ring(&[7]).await;
    process(&mut subject, &[7]).await;
    marked(&mut peer, 7).await;
}

#[tokio::test]
async fn a_mark_that_is_lost_or_has_to_wait_is_told_again() {
    let (balancer, server) = (Fake::new().await, Fake::new().await);
    let mut subject = start(&balancer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 0).await;
    peer.ring(&[1]).await;
    process(&mut subject, &[1]).await;
    marked(&mut peer, 1).await;
    drop(peer);
    balancer.assign(&server, 0).await;
    let mut peer = server.sign_on("t1", 1).await;
    let id = marked(&mut peer, 1).await;
    peer.refuse(id, Code::Unavailable, Some(10)).await;
    let id = marked(&mut peer, 1).await;
    peer.answer(id, &Empty {}, Block::none()).await;
}
