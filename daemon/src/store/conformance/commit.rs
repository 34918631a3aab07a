//! What every store does on `commit`.

use super::{
    drafts::{NOW, append, append_one, commit, commit_accounts, commit_welcome, committed, kinds, read_all, refusal, seqs},
    people::{converse, register},
};
use crate::store::{Denied, Store, logs::Commit};
use fastchat_wire::{
    LogId,
    chat::{
        commit::WelcomedNotice,
        create::ConversationKind::{Direct, Group},
        entry::{Change, MemberChange, MemberChanges},
        members::Role,
    },
};
use std::sync::Arc;
use uuid::Uuid;

pub(crate) async fn a_commit_writes_everything_in_order(store: Arc<dyn Store>) {
    let (alice, bob, carol) = (
        register(&store, "alice").await,
        register(&store, "bob").await,
        register(&store, "carol").await,
    );
    let log = converse(&store, &alice, Group, &[&bob]).await;
    let sent = Commit {
        remove: vec![bob.account],
        ..commit_welcome(&alice, log, 0, &[&carol], &[carol.device])
    };
    let done = committed(&store, sent.clone()).await;
    assert_eq!((done.appended.seq, done.appended.at, done.appended.duplicate), (2, NOW, false));
    assert_eq!(
        kinds(&done.written),
        [("commit", 2), ("welcome", 3), ("welcomed", 1), ("member", 4)]
    );
    let [commit, welcome, notice, member] = [0, 1, 2, 3].map(|place| &done.written[place].entry);

    assert_eq!(
        (commit.entry, commit.epoch, &commit.block[..]),
        (sent.entry, Some(0), &b"commit"[..])
    );
    assert_eq!((Some(welcome.entry), &welcome.block[..]), (sent.welcome_entry, &b"welcome"[..]));
    assert_eq!(*welcome.welcome_to, [carol.device]);
    assert_eq!(
        (notice.log, notice.from, notice.device),
        (LogId::inbox_of(carol.device), None, None)
    );
    let told: WelcomedNotice = serde_json::from_slice(&notice.block).unwrap();
    assert_eq!(told, WelcomedNotice { conversation: log, seq: 3 });
    assert_eq!((member.from, member.device), (Some(alice.account), Some(alice.device)));
    let changes: MemberChanges = serde_json::from_slice(&member.block).unwrap();
    let change = |account, change, role| MemberChange { account, change, role };
    assert_eq!(
        changes.changes,
        [
            change(bob.account, Change::Removed, None),
            change(carol.account, Change::Added, Some(Role::Member))
        ]
    );
    // One roster says of each of them who reads it.
    assert_eq!(
        done.written.iter().map(|written| written.members_seq).collect::<Vec<_>>(),
        [4, 4, 0, 4]
    );
    assert_eq!(store.roster(log).await.unwrap().members_seq, 4);

    let stored = read_all(&store, log, alice.actor()).await.entries;
    assert_eq!(stored[1..], [commit.clone(), welcome.clone(), member.clone()]);
    assert_eq!(
        read_all(&store, LogId::inbox_of(carol.device), carol.actor()).await.entries,
        std::slice::from_ref(notice)
    );
    assert_eq!(store.group_info(log, carol.account).await.unwrap(), (1, sent.group_info));
}

pub(crate) async fn a_plain_commit_writes_one_entry(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let log = converse(&store, &alice, Direct, &[&bob]).await;
    assert!(matches!(refusal(store.group_info(log, bob.account).await), Denied::NotFound(_)));
    let done = committed(&store, commit(&bob, log, 0)).await;
    assert_eq!(kinds(&done.written), [("commit", 2)]);
    assert_eq!((done.appended.members_seq, done.written[0].members_seq), (1, 1));
    let welcomed = committed(&store, commit_welcome(&alice, log, 1, &[], &[bob.device, alice.device, bob.device])).await;
    assert_eq!(
        kinds(&welcomed.written),
        [("commit", 3), ("welcome", 4), ("welcomed", 1), ("welcomed", 1)]
    );
    let (epoch, info) = store.group_info(log, bob.account).await.unwrap();
    assert_eq!((epoch, &info[..]), (2, &b"group info of 2"[..]));
}

pub(crate) async fn a_commit_again_is_the_same_commit(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let log = converse(&store, &alice, Group, &[]).await;
    let sent = commit_welcome(&alice, log, 0, &[&bob], &[bob.device]);
    let first = committed(&store, sent.clone()).await;
    committed(&store, commit(&alice, log, 1)).await;
    let again = committed(&store, sent).await;
    assert_eq!((again.appended.seq, again.appended.duplicate), (first.appended.seq, true));
    assert!(again.written.is_empty());
    assert_eq!(seqs(&read_all(&store, LogId::inbox_of(bob.device), bob.actor()).await.entries), [1]);
    assert_eq!(store.group_info(log, alice.account).await.unwrap().0, 2);
}

pub(crate) async fn a_refused_commit_writes_nothing(store: Arc<dyn Store>) {
    let (alice, bob, eve) = (
        register(&store, "alice").await,
        register(&store, "bob").await,
        register(&store, "eve").await,
    );
    let log = converse(&store, &alice, Group, &[&bob]).await;
    committed(&store, commit(&alice, log, 0)).await;
    let taken = append(&alice, log, "taken");
    append_one(&store, taken.clone()).await.unwrap();
    let nobody = || Uuid::now_v7().into();
    let welcome = |devices: &[_]| commit_welcome(&alice, log, 1, &[], devices);
    let refused = [
        ("a stale epoch", commit(&alice, log, 0), "epoch-conflict"),
        ("a stranger", commit(&eve, log, 1), "not-member"),
        ("an unknown log", commit(&alice, nobody(), 1), "not-member"),
        ("an archive", commit(&alice, LogId::archive_of(alice.account), 0), "not-member"),
        ("a member that adds", commit_accounts(&bob, log, 1, &[&eve], &[]), "forbidden"),
        (
            "an unknown account",
            Commit {
                add: vec![eve.account, nobody_account()],
                ..commit(&alice, log, 1)
            },
            "not-found",
        ),
        (
            "an unknown device",
            welcome(&[bob.device, fastchat_wire::DeviceId(Uuid::now_v7().into_bytes())]),
            "not-found",
        ),
        ("a stranger's device", welcome(&[eve.device]), "forbidden"),
        (
            "welcome-to without a Welcome",
            Commit {
                welcome_to: vec![bob.device],
                ..commit(&alice, log, 1)
            },
            "bad-request",
        ),
        (
            "a Welcome without an id",
            Commit {
                welcome_entry: None,
                ..welcome(&[bob.device])
            },
            "bad-request",
        ),
        (
            "a Welcome with a taken id",
            Commit {
                welcome_entry: Some(taken.entry),
                ..welcome(&[bob.device])
            },
            "conflict",
        ),
    ];
    for (name, commit, code) in refused {
        assert_eq!(refusal(store.commit(commit).await).code().as_str(), code, "{name}");
    }
    assert_eq!(seqs(&read_all(&store, log, alice.actor()).await.entries), [1, 2, 3]);
    assert_eq!(read_all(&store, LogId::inbox_of(bob.device), bob.actor()).await.last_seq, 0);
    assert_eq!(store.group_info(log, alice.account).await.unwrap().0, 1);
}

fn nobody_account() -> fastchat_wire::AccountId {
    Uuid::now_v7().into()
}

pub(crate) async fn accounts_that_come_and_go_read_what_is_theirs(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let log = converse(&store, &alice, Group, &[]).await;
    append_one(&store, append(&alice, log, "2: before bob")).await.unwrap();
    committed(&store, commit_accounts(&alice, log, 0, &[&bob], &[])).await; // 3 commit, 4 member
    append_one(&store, append(&bob, log, "5: bob")).await.unwrap();
    committed(&store, commit_accounts(&alice, log, 1, &[], &[&bob])).await; // 6 commit, 7 member
    append_one(&store, append(&alice, log, "8: without bob")).await.unwrap();

    let page = read_all(&store, log, bob.actor()).await;
    assert_eq!((page.first_seq, page.last_seq, page.more), (3, 7, false));
    assert_eq!(seqs(&page.entries), [3, 4, 5, 6, 7], "through the entry that removes him");
    assert_eq!(append_one(&store, append(&bob, log, "no")).await, Err(Denied::NotMember));
    assert_eq!(refusal(store.group_info(log, bob.account).await), Denied::NotMember);
    assert_eq!(refusal(store.members(log, bob.account, None, 10).await), Denied::NotMember);
    assert_eq!(refusal(store.mark(log, bob.account, Some(5), None).await), Denied::NotMember);
    assert!(store.conversations(bob.account, None, 10).await.unwrap().conversations.is_empty());

    committed(&store, commit_accounts(&alice, log, 2, &[&bob], &[])).await; // 9 commit, 10 member
    let page = read_all(&store, log, bob.actor()).await;
    assert_eq!((page.first_seq, page.last_seq), (9, 10), "only from the latest adding");
    assert_eq!(append_one(&store, append(&bob, log, "11")).await.unwrap().seq, 11);
    assert_eq!(
        seqs(&read_all(&store, log, alice.actor()).await.entries),
        (1..=11).collect::<Vec<_>>()
    );
}

pub(crate) async fn re_adding_a_member_and_removing_a_stranger_change_nothing(store: Arc<dyn Store>) {
    let (alice, bob, eve) = (
        register(&store, "alice").await,
        register(&store, "bob").await,
        register(&store, "eve").await,
    );
    let log = converse(&store, &alice, Group, &[&bob]).await;
    let done = committed(&store, commit_accounts(&alice, log, 0, &[&bob], &[&eve])).await;
    assert_eq!(kinds(&done.written), [("commit", 2)]);
    assert_eq!(store.roster(log).await.unwrap().members_seq, 1);
    assert_eq!(read_all(&store, log, bob.actor()).await.first_seq, 1);
}
