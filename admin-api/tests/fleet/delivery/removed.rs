//! Who was removed sees nothing that was appended after it.

use super::{Stand, Store, on_both_stores};
use crate::fleet::client::{Client, new_id};
use fastchat_wire::{
    AccountId, Block, EntryId, LogId,
    chat::{
        append::Appended,
        commit::{Commit, CommitLists},
        create::ConversationKind,
    },
};
use std::{collections::BTreeSet, time::Duration};

on_both_stores! {
    who_is_removed_while_others_append_on_other_servers_sees_what_was_before_it_and_nothing_after
}

const ROUNDS: u64 = 25;

/// Removes an account; answers where the commit stands.
async fn remove(admin: &mut Client, conversation: LogId, account: AccountId) -> Appended {
    let lists = CommitLists {
        add: vec![],
        remove: vec![account],
        welcome_to: vec![],
    };
    let commit = Commit {
        conversation,
        entry: new_id(),
        welcome_entry: None,
        epoch: 0,
    };
    let block = Block::pieces(&[&serde_json::to_vec(&lists).expect("JSON")[..], b"commit", b"", b"info"]);
    admin.call(&commit, &block).await.expect("an admin commits").0
}

async fn who_is_removed_while_others_append_on_other_servers_sees_what_was_before_it_and_nothing_after(stand: &Stand) {
    let (mut alice, _) = stand.person("s1", "alice").await;
    let (mut bob, bob_is) = stand.person("s2", "bob").await;
    let (mut carol, carol_is) = stand.person("s3", "carol").await;
    let mut told = Vec::new();
    for round in 0..ROUNDS {
        let members = [bob_is.account, carol_is.account];
        let log = alice.create(ConversationKind::Group, &members).await.expect("a group");
        let entries = |count| (0..count).map(|_| new_id()).collect::<Vec<EntryId>>();
        let removing = async {
            tokio::time::sleep(Duration::from_micros(400 * round)).await;
            let removed = remove(&mut alice, log, bob_is.account).await;
            alice.append(log, "among us").await.expect("a member appends");
            removed.seq
        };
        let appending = async {
            let ids = carol.pipeline(log, &entries(40)).await;
            carol.answers(&ids).await
        };
        let objecting = async {
            let ids = bob.pipeline(log, &entries(40)).await;
            bob.answers(&ids).await
        };
        let (removed, of_carol, of_bob) = tokio::join!(removing, appending, objecting);
        assert!(of_carol.iter().all(Result::is_ok), "{of_carol:?}");
        let mut own = BTreeSet::new();
        for answer in of_bob {
            match answer {
                Ok(appended) => assert!(appended.seq < removed && own.insert(appended.seq), "{appended:?} after {removed}"),
                Err(code) => assert_eq!(code, "not-member"),
            }
        }
        told.push((log, removed + 1, own));
    }
    // Whatever was on its way has come by then.
    bob.quiet().await;
    let mut again = stand.resumed("s3", &bob_is.token).await;
    for (log, last, own) in told {
        let mut seen: Vec<u64> = bob.pushed_of(log);
        seen.extend(own);
        seen.sort_unstable();
        assert_eq!(
            seen,
            (1..=last).collect::<Vec<_>>(),
            "pushed: all through its removal, and nothing after"
        );
        for client in [&mut bob, &mut again] {
            let fetched = client.whole(log).await.expect("its own part of the log");
            let seqs: Vec<u64> = fetched.iter().map(|(entry, _)| entry.seq).collect();
            assert_eq!(seqs, (1..=last).collect::<Vec<_>>(), "fetched: the same");
        }
    }
}
