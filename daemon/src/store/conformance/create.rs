//! What every store does on `create`, `grant` and `leave`.

use super::{
    drafts::{NOW, append, append_one, kinds, read_all, refusal, seqs},
    people::{Person, converse, register},
};
use crate::store::{Denied, Store, logs::Create};
use fastchat_wire::{
    AccountId, LogId,
    chat::{
        create::ConversationKind::{self, Direct, Group},
        entry::{Change, MemberChanges},
        members::Role::{self, Admin, Member},
    },
};
use std::sync::Arc;
use uuid::Uuid;

fn create(creator: &Person, kind: ConversationKind, others: &[AccountId]) -> Create {
    Create {
        conversation: Uuid::now_v7().into(),
        kind,
        actor: creator.actor(),
        members: others.to_vec(),
        member_entry: Uuid::now_v7().into(),
        at: NOW,
    }
}

async fn roles(store: &Arc<dyn Store>, log: LogId, reader: &Person) -> Vec<(AccountId, Role)> {
    let page = store.members(log, reader.account, None, 500).await.unwrap();
    page.members.into_iter().map(|member| (member.account, member.role)).collect()
}

pub(crate) async fn a_conversation_begins_with_its_members(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let draft = create(&alice, Group, &[bob.account]);
    let made = store.create(draft.clone()).await.unwrap();
    assert_eq!((made.conversation, made.created), (draft.conversation, true));
    assert_eq!(kinds(&made.written), [("member", 1)]);
    assert_eq!(made.written[0].members_seq, 1);
    let page = read_all(&store, draft.conversation, bob.actor()).await;
    assert_eq!(page.entries, [made.written[0].entry.clone()]);
    let told: MemberChanges = serde_json::from_slice(&page.entries[0].block).unwrap();
    let told: Vec<_> = told
        .changes
        .iter()
        .map(|change| (change.account, change.change, change.role))
        .collect();
    assert_eq!(
        told,
        [
            (alice.account, Change::Added, Some(Admin)),
            (bob.account, Change::Added, Some(Member))
        ]
    );
    let mut expected = vec![(alice.account, Admin), (bob.account, Member)];
    expected.sort_by_key(|(account, _)| *account);
    assert_eq!(roles(&store, draft.conversation, &bob).await, expected);
}

pub(crate) async fn creating_again_succeeds_and_changes_nothing(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let draft = create(&alice, Group, &[]);
    store.create(draft.clone()).await.unwrap();
    let again = store.create(draft.clone()).await.unwrap();
    assert_eq!(
        (again.conversation, again.created, again.written.len()),
        (draft.conversation, false, 0)
    );
    assert_eq!(read_all(&store, draft.conversation, alice.actor()).await.last_seq, 1);

    let taken = |creator: &Person, kind, others: &[AccountId], conversation| Create {
        conversation,
        ..create(creator, kind, others)
    };
    for (name, other) in [
        ("somebody else's", taken(&bob, Group, &[], draft.conversation)),
        (
            "one's own of another kind",
            taken(&alice, Direct, &[bob.account], draft.conversation),
        ),
        ("an archive's", taken(&alice, Group, &[], LogId::archive_of(alice.account))),
        ("an inbox's", taken(&alice, Group, &[], LogId::inbox_of(bob.device))),
    ] {
        assert!(matches!(refusal(store.create(other).await), Denied::Conflict(_)), "{name}");
    }
}

pub(crate) async fn a_direct_conversation_is_unique_for_its_pair(store: Arc<dyn Store>) {
    let (alice, bob, carol) = (
        register(&store, "alice").await,
        register(&store, "bob").await,
        register(&store, "carol").await,
    );
    let log = converse(&store, &alice, Direct, &[&bob]).await;
    for (creator, other) in [(&alice, &bob), (&bob, &alice)] {
        let again = store.create(create(creator, Direct, &[other.account])).await.unwrap();
        assert_eq!((again.conversation, again.created, again.written.len()), (log, false, 0));
    }
    assert_ne!(converse(&store, &alice, Direct, &[&carol]).await, log);
    assert_ne!(converse(&store, &alice, Group, &[&bob]).await, log);
    assert!(matches!(
        refusal(store.leave(log, alice.actor(), Uuid::now_v7().into(), NOW).await),
        Denied::Forbidden(_)
    ));
}

pub(crate) async fn an_unknown_account_makes_no_conversation(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    for draft in [
        create(&alice, Direct, &[Uuid::now_v7().into()]),
        create(&alice, Group, &[bob.account, Uuid::now_v7().into()]),
    ] {
        assert!(matches!(refusal(store.create(draft.clone()).await), Denied::NotFound(_)));
        assert!(store.roster_versions(&[draft.conversation]).await.unwrap().is_empty());
    }
}

pub(crate) async fn a_grant_is_a_member_entry_unless_it_changes_nothing(store: Arc<dyn Store>) {
    let (alice, bob) = (register(&store, "alice").await, register(&store, "bob").await);
    let log = converse(&store, &alice, Group, &[&bob]).await;
    let grant =
        async |actor: &Person, to: &Person, role| store.grant(log, actor.actor(), to.account, role, Uuid::now_v7().into(), NOW).await;
    assert!(matches!(refusal(grant(&bob, &bob, Admin).await), Denied::Forbidden(_)));
    assert_eq!(grant(&alice, &bob, Member).await.unwrap(), []);
    let written = grant(&alice, &bob, Admin).await.unwrap();
    assert_eq!(kinds(&written), [("member", 2)]);
    assert_eq!(written[0].members_seq, 2);
    assert_eq!(kinds(&grant(&bob, &alice, Member).await.unwrap()), [("member", 3)]);
    assert!(
        matches!(refusal(grant(&bob, &bob, Member).await), Denied::Forbidden(_)),
        "the last admin stays"
    );
    assert_eq!(store.roster(log).await.unwrap().members_seq, 3);
    assert_eq!(read_all(&store, log, bob.actor()).await.first_seq, 1, "a role moves no bounds");
}

pub(crate) async fn who_left_reads_nothing_after_it(store: Arc<dyn Store>) {
    let (alice, bob, carol) = (
        register(&store, "alice").await,
        register(&store, "bob").await,
        register(&store, "carol").await,
    );
    let log = converse(&store, &alice, Group, &[&bob, &carol]).await;
    let written = store.leave(log, bob.actor(), Uuid::now_v7().into(), NOW).await.unwrap();
    assert_eq!(kinds(&written), [("member", 2)]);
    append_one(&store, append(&alice, log, "3")).await.unwrap();
    assert_eq!(seqs(&read_all(&store, log, bob.actor()).await.entries), [1, 2]);
    assert_eq!(append_one(&store, append(&bob, log, "no")).await, Err(Denied::NotMember));
    assert_eq!(
        refusal(store.leave(log, bob.actor(), Uuid::now_v7().into(), NOW).await),
        Denied::NotMember
    );

    // The last admin leaves: the group goes on with another.
    let written = store.leave(log, alice.actor(), Uuid::now_v7().into(), NOW).await.unwrap();
    let told: MemberChanges = serde_json::from_slice(&written[0].entry.block).unwrap();
    let told: Vec<_> = told.changes.iter().map(|change| (change.account, change.change)).collect();
    assert_eq!(told, [(alice.account, Change::Left), (carol.account, Change::Role)]);
    assert_eq!(roles(&store, log, &carol).await, [(carol.account, Admin)]);
}
