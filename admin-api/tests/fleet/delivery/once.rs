//! The same entry is one entry, whoever answers.

use super::{Stand, Store, on_both_stores};
use crate::fleet::client::new_id;
use fastchat_wire::{EntryId, chat::create::ConversationKind};

on_both_stores! {
    an_entry_that_goes_through_three_servers_at_once_stands_once_and_all_three_name_its_place
}

async fn an_entry_that_goes_through_three_servers_at_once_stands_once_and_all_three_name_its_place(stand: &Stand) {
    let (mut one, me) = stand.person("s1", "alice").await;
    let (mut bob, bob_is) = stand.person("s2", "bob").await;
    let log = one
        .create(ConversationKind::Direct, &[bob_is.account])
        .await
        .expect("a conversation");
    let mut two = stand.resumed("s2", &me.token).await;
    let mut three = stand.resumed("s3", &me.token).await;
    let mut expected = 1;
    for _ in 0..10 {
        let entries: Vec<EntryId> = (0..30).map(|_| new_id()).collect();
        let answers = tokio::join!(
            async {
                let ids = one.pipeline(log, &entries).await;
                one.answers(&ids).await
            },
            async {
                let ids = two.pipeline(log, &entries).await;
                two.answers(&ids).await
            },
            async {
                let ids = three.pipeline(log, &entries).await;
                three.answers(&ids).await
            },
        );
        let answers = [answers.0, answers.1, answers.2];
        for at in 0..entries.len() {
            let of_it: Vec<_> = answers.iter().map(|answers| answers[at].clone().expect("appended")).collect();
            assert!(
                of_it.iter().all(|answer| (answer.seq, answer.at) == (of_it[0].seq, of_it[0].at)),
                "{of_it:?}"
            );
            assert_eq!(of_it.iter().filter(|answer| !answer.duplicate).count(), 1, "{of_it:?}");
        }
        expected += entries.len() as u64;
    }
    let whole = three.whole(log).await.expect("the log is readable");
    assert_eq!(whole.last().expect("entries").0.seq, expected);
    assert_eq!(whole.len() as u64, expected);
    // Pushed in order; a duplicate may ring again, and brings no other number.
    let mut pushed = bob.pushed_until_quiet(log).await;
    pushed.dedup();
    // Where a server took more than 500 ms to learn that bob is here, his first push shows him a hole, which he reads.
    let first = pushed.first().copied().expect("pushes");
    assert!(first <= 2, "{first}");
    assert_eq!(pushed, (first..=expected).collect::<Vec<_>>());
}
