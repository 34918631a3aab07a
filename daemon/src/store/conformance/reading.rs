//! What every store does on `fetch`, `trim`, `conversations`, `members`, `mark` and rosters.

use super::{
    drafts::{append, append_many, append_one, commit_accounts, commit_welcome, committed, read_all, refusal, seqs},
    people::{Person, converse, register},
};
use crate::store::{
    Denied, Store,
    logs::{Actor, Membership, Moved, Now, RosterMember},
};
use fastchat_wire::{
    DeviceId, LogId,
    chat::{
        conversations::LogBounds,
        create::ConversationKind::{Direct, Group},
        members::Role,
    },
};
use std::sync::Arc;
use uuid::Uuid;

pub(crate) async fn a_page_ends_by_number_or_by_bytes_but_has_at_least_one(store: Arc<dyn Store>) {
    let alice = register(&store, "alice").await;
    let log = LogId::archive_of(alice.account);
    for size in [10, 10, 30, 1] {
        append_one(&store, append(&alice, log, &"x".repeat(size))).await.unwrap();
    }
    let page = async |after, limit, bytes_max| {
        let page = store.fetch(log, alice.actor(), after, limit, bytes_max).await.unwrap();
        assert_eq!((page.first_seq, page.last_seq), (1, 4));
        (seqs(&page.entries), page.more)
    };
    assert_eq!(page(0, 500, 1 << 20).await, (vec![1, 2, 3, 4], false));
    assert_eq!(page(0, 2, 1 << 20).await, (vec![1, 2], true));
    assert_eq!(page(2, 2, 1 << 20).await, (vec![3, 4], false));
    assert_eq!(page(0, 500, 20).await, (vec![1, 2], true));
    assert_eq!(page(0, 500, 19).await, (vec![1], true));
    assert_eq!(page(2, 500, 5).await, (vec![3], true), "one that is too large comes alone");
    assert_eq!(page(3, 500, 0).await, (vec![4], false));
    assert_eq!(page(4, 500, 100).await, (vec![], false));
    assert_eq!(page(1 << 53, 500, 100).await, (vec![], false));
}

pub(crate) async fn entries_for_pushing_are_a_range(store: Arc<dyn Store>) {
    let alice = register(&store, "alice").await;
    let log = converse(&store, &alice, Group, &[]).await;
    append_many(&store, &alice, log, 4).await;
    let entries = async |log, first, last, bytes_max| seqs(&store.entries(log, first, last, bytes_max).await.unwrap());
    assert_eq!(entries(log, 2, 4, 1_000).await, [2, 3, 4]);
    assert_eq!(entries(log, 5, 9, 1_000).await, [5]);
    assert!(entries(log, 4, 3, 1_000).await.is_empty());
    assert!(entries(Uuid::now_v7().into(), 1, 9, 1_000).await.is_empty());
    assert_eq!(entries(log, 3, 5, 0).await, [3], "one at least");
    let inbox = LogId::inbox_of(alice.device);
    for epoch in 0..3 {
        committed(&store, commit_welcome(&alice, log, epoch, &[], &[alice.device])).await;
    }
    store.trim(inbox, alice.device, 1).await.unwrap();
    assert_eq!(entries(inbox, 1, 3, 0).await, [2], "one at least of those that are kept");
}

pub(crate) async fn a_device_trims_its_own_inbox_and_nothing_else(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let log = converse(&store, &alice, Direct, &[&bob]).await;
    for epoch in 0..3 {
        committed(&store, commit_welcome(&alice, log, epoch, &[], &[bob.device])).await;
    }
    let inbox = LogId::inbox_of(bob.device);
    let kept = async || {
        let page = read_all(&store, inbox, bob.actor()).await;
        (page.first_seq, page.last_seq, seqs(&page.entries))
    };
    assert_eq!(kept().await, (1, 3, vec![1, 2, 3]));
    store.trim(inbox, bob.device, 2).await.unwrap();
    store.trim(inbox, bob.device, 1).await.unwrap();
    assert_eq!(kept().await, (3, 3, vec![3]));
    store.trim(inbox, bob.device, 1 << 53).await.unwrap();
    assert_eq!(kept().await, (4, 3, vec![]), "an empty log's first number is the next one");
    committed(&store, commit_welcome(&alice, log, 3, &[], &[bob.device])).await;
    assert_eq!(kept().await, (4, 4, vec![4]), "numbers go on");
    for (log, device) in [
        (inbox, alice.device),
        (log, bob.device),
        (log, DeviceId(log.0)),
        (LogId::archive_of(bob.account), bob.device),
    ] {
        assert_eq!(refusal(store.trim(log, device, 1).await), Denied::NotMember);
    }
}

pub(crate) async fn conversations_come_in_pages_by_id(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    assert!(store.conversations(alice.account, None, 1).await.unwrap().conversations.is_empty());
    let mut expected = vec![converse(&store, &alice, Direct, &[&bob]).await];
    for _ in 0..4 {
        expected.push(converse(&store, &bob, Group, &[&alice]).await);
    }
    expected.sort_unstable();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.conversations(alice.account, after, 2).await.unwrap();
        seen.extend(page.conversations.iter().map(|conversation| conversation.conversation));
        after = seen.last().copied();
        if !page.more {
            break;
        }
        assert_eq!(page.conversations.len(), 2);
    }
    assert_eq!(seen, expected);

    let group = converse(&store, &bob, Group, &[]).await;
    committed(&store, commit_accounts(&bob, group, 0, &[&alice], &[])).await;
    store.mark(group, alice.account, None, Some(2)).await.unwrap();
    let page = store.conversations(alice.account, None, 500).await.unwrap();
    let one = page.conversations.iter().find(|one| one.conversation == group).unwrap();
    assert_eq!((one.kind, one.role, one.members), (Group, Role::Member, 2));
    assert_eq!((one.from_seq, one.last_seq, one.epoch, one.read), (2, 3, 1, 2));
}

pub(crate) async fn a_devices_logs_are_its_conversations_inbox_and_archive(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let group = converse(&store, &alice, Group, &[&bob]).await;
    let (inbox, archive) = (LogId::inbox_of(alice.device), LogId::archive_of(alice.account));
    append_many(&store, &alice, archive, 2).await;
    let mut logs = store.logs_of(alice.actor()).await.unwrap();
    logs.sort_unstable();
    let mut expected = vec![(group, 1), (inbox, 0), (archive, 2)];
    expected.sort_unstable();
    assert_eq!(logs, expected);
    let bounds = |log, first_seq, last_seq| LogBounds { log, first_seq, last_seq };
    assert_eq!(
        store.own_logs(alice.actor()).await.unwrap(),
        (bounds(inbox, 1, 0), bounds(archive, 1, 2))
    );
    let foreign = Actor {
        device: bob.device,
        ..alice.actor()
    };
    assert_eq!(refusal(store.own_logs(foreign).await), Denied::NotMember);
    let carol = register(&store, "carol").await;
    let membership = |person: &Person, last_seq| Membership {
        log: group,
        account: person.account,
        from_seq: 1,
        last_seq,
    };
    let mut memberships = store.memberships(&[alice.account, bob.account, carol.account]).await.unwrap();
    memberships.sort_by_key(|membership| membership.account);
    assert_eq!(memberships, [membership(&alice, 1), membership(&bob, 1)]);
    let known = [(archive, 1), (Uuid::now_v7().into(), 0), (group, 0)];
    let mut beyond = store.beyond(&known).await.unwrap();
    beyond.sort_unstable();
    let mut expected = vec![(archive, 2), (group, 1)];
    expected.sort_unstable();
    assert_eq!(beyond, expected);
    assert_eq!(store.beyond(&[(archive, 2), (group, 0)]).await.unwrap(), [(group, 1)]);
    assert_eq!(store.beyond(&[(archive, 3), (inbox, 0)]).await.unwrap(), []);
}

pub(crate) async fn members_come_in_pages_by_account(store: Arc<dyn Store>) {
    let (alice, bob, carol, eve) = (
        register(&store, "alice").await,
        register(&store, "bob").await,
        register(&store, "carol").await,
        register(&store, "eve").await,
    );
    let log = converse(&store, &alice, Group, &[&bob, &carol]).await;
    store.mark(log, bob.account, Some(1), None).await.unwrap();
    let mut expected = [&alice, &bob, &carol];
    expected.sort_by_key(|person| person.account);
    let first = store.members(log, bob.account, None, 2).await.unwrap();
    assert_eq!((first.members.len(), first.more), (2, true));
    let second = store.members(log, bob.account, Some(first.members[1].account), 2).await.unwrap();
    assert!(!second.more);
    let all: Vec<_> = first.members.into_iter().chain(second.members).collect();
    for (member, person) in all.iter().zip(expected) {
        assert_eq!((member.account, &member.username), (person.account, &person.username));
        assert_eq!(member.devices, [person.device]);
        assert_eq!((member.delivered, member.read), (u64::from(person.account == bob.account), 0));
    }
    assert_eq!(all.len(), 3);
    assert_eq!(refusal(store.members(log, eve.account, None, 2).await), Denied::NotMember);
}

pub(crate) async fn marks_never_move_back_nor_beyond_the_last_entry(store: Arc<dyn Store>) {
    let (alice, eve) = (register(&store, "alice").await, register(&store, "eve").await);
    let log = converse(&store, &alice, Group, &[]).await;
    append_many(&store, &alice, log, 4).await;
    let mark = async |delivered, read| store.mark(log, alice.account, delivered, read).await.unwrap();
    let moved = |delivered, read| Moved { delivered, read };
    assert_eq!(mark(Some(3), Some(2)).await, moved(Some(3), Some(2)));
    assert_eq!(mark(Some(3), Some(1)).await, moved(None, None));
    assert_eq!(mark(Some(2), Some(3)).await, moved(None, Some(3)));
    assert_eq!(mark(None, None).await, moved(None, None));
    assert_eq!(mark(Some(99), None).await, moved(Some(5), None));
    let member = store.members(log, alice.account, None, 1).await.unwrap().members.remove(0);
    assert_eq!((member.delivered, member.read), (5, 3));
    assert_eq!(refusal(store.mark(log, eve.account, Some(1), None).await), Denied::NotMember);
    assert_eq!(
        refusal(store.mark(LogId::archive_of(alice.account), alice.account, Some(1), None).await),
        Denied::NotMember
    );
}

pub(crate) async fn a_roster_knows_who_reads_which_entry(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let log = converse(&store, &alice, Group, &[]).await;
    committed(&store, commit_accounts(&alice, log, 0, &[&bob], &[])).await; // 2 commit, 3 member
    committed(&store, commit_accounts(&alice, log, 1, &[], &[&bob])).await; // 4 commit, 5 member
    let roster = store.roster(log).await.unwrap();
    assert_eq!((roster.log, roster.members_seq, roster.only_device), (log, 5, None));
    let of = |account| roster.members.iter().find(|member| member.account == account).copied().unwrap();
    assert_eq!(
        (1..=6).filter(|seq| of(alice.account).reads(*seq)).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6]
    );
    assert_eq!((1..=6).filter(|seq| of(bob.account).reads(*seq)).collect::<Vec<_>>(), [2, 3, 4, 5]);
    let alone = |account| {
        [RosterMember {
            account,
            from_seq: 1,
            through_seq: None,
        }]
    };
    let inbox = store.roster(LogId::inbox_of(bob.device)).await.unwrap();
    assert_eq!(
        (inbox.members_seq, inbox.only_device, &inbox.members[..]),
        (0, Some(bob.device), &alone(bob.account)[..])
    );
    let archive = store.roster(LogId::archive_of(bob.account)).await.unwrap();
    assert_eq!(
        (archive.members_seq, archive.only_device, &archive.members[..]),
        (0, None, &alone(bob.account)[..])
    );
    assert!(store.roster(Uuid::now_v7().into()).await.unwrap().members.is_empty());
}

pub(crate) async fn what_is_not_stored_goes_by_the_conversation_of_now(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let log = converse(&store, &alice, Group, &[&bob]).await;
    let now = |epoch, members_seq| Now { epoch, members_seq };
    assert_eq!(store.now(log, bob.account).await.unwrap(), now(0, 1));
    committed(&store, commit_accounts(&alice, log, 0, &[], &[&bob])).await; // 2 commit, 3 member
    assert_eq!(store.now(log, alice.account).await.unwrap(), now(1, 3));
    let strange = Uuid::now_v7().into();
    for (log, account) in [
        (log, bob.account),
        (LogId::archive_of(alice.account), alice.account),
        (strange, alice.account),
    ] {
        assert_eq!(refusal(store.now(log, account).await), Denied::NotMember);
    }
    assert_eq!(store.roster_versions(&[strange, log]).await.unwrap(), [(log, 3)]);
    assert!(!store.roster(log).await.unwrap().is_direct);
    let direct = converse(&store, &alice, Direct, &[&bob]).await;
    assert!(store.roster(direct).await.unwrap().is_direct);
}

pub(crate) async fn a_page_names_the_others_of_direct_conversations(store: Arc<dyn Store>) {
    let (alice, bob, carol) = (
        register(&store, "alice").await,
        register(&store, "bob").await,
        register(&store, "carol").await,
    );
    converse(&store, &alice, Direct, &[&bob]).await;
    converse(&store, &alice, Group, &[&bob, &carol]).await;
    let last = converse(&store, &carol, Direct, &[&alice]).await;
    let contacts = async |account, after, limit| store.conversations(account, after, limit).await.unwrap().contacts;
    assert_eq!(contacts(alice.account, None, 500).await, [bob.account, carol.account]);
    assert_eq!(contacts(alice.account, None, 1).await, [bob.account], "of this page only");
    assert_eq!(contacts(bob.account, None, 500).await, [alice.account]);
    assert!(contacts(alice.account, Some(last), 500).await.is_empty());
}
