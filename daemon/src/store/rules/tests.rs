//! The rules as tables: who acts on what, and what comes of it.

use super::*;
use Role::{Admin, Member};

const A: AccountId = AccountId([0xa; 16]);
const B: AccountId = AccountId([0xb; 16]);
const C: AccountId = AccountId([0xc; 16]);
const D: AccountId = AccountId([0xd; 16]);
const STRANGER: AccountId = AccountId([0xe; 16]);

fn group(members: &[(AccountId, Role, u64)]) -> State {
    let members = members
        .iter()
        .map(|&(account, role, from_seq)| Membership { account, role, from_seq });
    State {
        kind: ConversationKind::Group,
        epoch: 5,
        members: members.collect(),
    }
}

/// A is admin; B and C are members, C for longer.
fn club() -> State {
    group(&[(A, Admin, 1), (B, Member, 9), (C, Member, 4)])
}

fn direct() -> State {
    State {
        kind: ConversationKind::Direct,
        ..group(&[(A, Member, 1), (B, Member, 1)])
    }
}

fn join(account: AccountId) -> MemberChange {
    added(account, Member)
}

fn gone(account: AccountId) -> MemberChange {
    change(account, Change::Removed)
}

fn left(account: AccountId) -> MemberChange {
    change(account, Change::Left)
}

fn role(account: AccountId, role: Role) -> MemberChange {
    MemberChange {
        account,
        change: Change::Role,
        role: Some(role),
    }
}

type Decided = Result<Vec<MemberChange>, &'static str>;

/// Refusals by their code, since their texts are for people.
fn by_code(decided: Result<Vec<MemberChange>, Denied>) -> Decided {
    decided.map_err(|denied| denied.code().as_str())
}

#[test]
fn a_kind_is_a_short_token_that_the_server_does_not_write_itself() {
    let longest = "k".repeat(KIND_BYTES_MAX);
    for good in ["app", "a-b", "-", "welcomed", &longest] {
        assert_eq!(check_kind(good), Ok(()), "{good}");
    }
    let too_long = "k".repeat(KIND_BYTES_MAX + 1);
    for bad in ["", "App", "a b", "a1", "ä", "commit", "welcome", "member", &too_long] {
        assert_eq!(check_kind(bad).unwrap_err().code().as_str(), "bad-request", "{bad}");
    }
}

#[test]
fn who_is_in_a_new_conversation() {
    use ConversationKind::{Direct, Group};
    let table: [(&str, ConversationKind, &[AccountId], Decided); 8] = [
        ("direct with one other", Direct, &[B], Ok(vec![join(A), join(B)])),
        ("direct with nobody", Direct, &[], Err("bad-request")),
        ("direct with two", Direct, &[B, C], Err("bad-request")),
        ("direct with oneself", Direct, &[A], Err("bad-request")),
        ("group of one", Group, &[], Ok(vec![added(A, Admin)])),
        ("group", Group, &[B, C], Ok(vec![added(A, Admin), join(B), join(C)])),
        ("group with oneself", Group, &[B, A], Err("bad-request")),
        ("group with one twice", Group, &[B, B], Err("bad-request")),
    ];
    for (name, kind, others, expected) in table {
        assert_eq!(by_code(create(kind, A, others)), expected, "{name}");
    }
}

#[test]
fn who_may_commit_what() {
    type Case<'a> = (&'a str, State, AccountId, u64, &'a [AccountId], &'a [AccountId], Decided);
    let two_admins = || group(&[(A, Admin, 1), (B, Admin, 2), (C, Member, 3)]);
    let table: [Case<'_>; 20] = [
        ("an admin adds and removes", club(), A, 5, &[D], &[B], Ok(vec![gone(B), join(D)])),
        ("a member commits without accounts", club(), B, 5, &[], &[], Ok(vec![])),
        ("a member adds", club(), B, 5, &[D], &[], Err("forbidden")),
        ("a member removes", club(), B, 5, &[], &[C], Err("forbidden")),
        ("a member re-adds a member", club(), B, 5, &[C], &[], Err("forbidden")),
        ("a member adds itself", club(), B, 5, &[B], &[], Ok(vec![])),
        ("a member removes itself", club(), B, 5, &[], &[B], Ok(vec![left(B)])),
        ("an admin re-adds a member", club(), A, 5, &[B, B], &[], Ok(vec![])),
        ("an admin removes a stranger", club(), A, 5, &[], &[STRANGER], Ok(vec![])),
        ("an admin adds one twice", club(), A, 5, &[D, D], &[], Ok(vec![join(D)])),
        ("added and removed at once", club(), A, 5, &[B], &[B], Err("bad-request")),
        ("a stranger", club(), STRANGER, 5, &[], &[], Err("not-member")),
        ("a stranger with a stale epoch", club(), STRANGER, 4, &[], &[], Err("not-member")),
        ("a stale epoch", club(), A, 4, &[D], &[], Err("epoch-conflict")),
        (
            "a member's forbidden commit with a stale epoch",
            club(),
            B,
            4,
            &[D],
            &[],
            Err("epoch-conflict"),
        ),
        ("an epoch of the future", club(), A, 6, &[], &[], Err("epoch-conflict")),
        (
            "the last admin removes itself",
            club(),
            A,
            5,
            &[],
            &[A],
            Ok(vec![left(A), role(C, Admin)]),
        ),
        ("one admin of two removes itself", two_admins(), A, 5, &[], &[A], Ok(vec![left(A)])),
        ("direct, without accounts", direct(), A, 5, &[], &[], Ok(vec![])),
        ("direct, with accounts", direct(), A, 5, &[C], &[], Err("forbidden")),
    ];
    for (name, mut state, actor, epoch, add, remove, expected) in table {
        assert_eq!(by_code(commit(&state, actor, epoch, add, remove)), expected, "{name}");
        if let Some(concerned) = concerned(actor, add, remove, &[]) {
            state.members.retain(|member| concerned.contains(&member.account));
            let decided = by_code(commit(&state, actor, epoch, add, remove));
            assert_eq!(decided, expected, "{name}, by those whom it concerns alone");
        }
    }
}

#[test]
fn a_last_admin_that_removes_everybody_leaves_the_group_to_whom_it_added() {
    let alone = group(&[(A, Admin, 1), (B, Member, 2)]);
    let changes = commit(&alone, A, 5, &[D], &[A, B]).unwrap();
    assert_eq!(changes, [left(A), gone(B), join(D), role(D, Admin)]);
    assert_eq!(alone.after(&changes), BTreeSet::from([D]));
}

#[test]
fn an_epoch_conflict_names_the_current_epoch() {
    assert_eq!(commit(&club(), A, 4, &[], &[]), Err(Denied::EpochConflict { current: 5 }));
}

#[test]
fn who_may_grant_what() {
    type Case<'a> = (&'a str, State, AccountId, AccountId, Role, Decided);
    let two_admins = || group(&[(A, Admin, 1), (B, Admin, 2)]);
    let table: [Case<'_>; 9] = [
        ("an admin makes another", club(), A, B, Admin, Ok(vec![role(B, Admin)])),
        ("the same role again", club(), A, B, Member, Ok(vec![])),
        ("a member grants", club(), B, B, Admin, Err("forbidden")),
        ("a stranger grants", club(), STRANGER, B, Admin, Err("not-member")),
        ("to a stranger", club(), A, STRANGER, Admin, Err("not-found")),
        ("the last admin steps down", club(), A, A, Member, Err("forbidden")),
        ("one admin of two steps down", two_admins(), A, A, Member, Ok(vec![role(A, Member)])),
        ("an admin demotes another", two_admins(), A, B, Member, Ok(vec![role(B, Member)])),
        ("direct", direct(), A, B, Admin, Err("forbidden")),
    ];
    for (name, state, actor, account, wanted, expected) in table {
        assert_eq!(by_code(grant(&state, actor, account, wanted)), expected, "{name}");
    }
}

#[test]
fn who_may_leave_and_who_follows_the_last_admin() {
    let tied = group(&[(A, Admin, 1), (C, Member, 2), (B, Member, 2)]);
    let table: [(&str, State, AccountId, Decided); 7] = [
        ("a member", club(), B, Ok(vec![left(B)])),
        ("the last admin", club(), A, Ok(vec![left(A), role(C, Admin)])),
        ("the last admin, two members as old", tied, A, Ok(vec![left(A), role(B, Admin)])),
        ("one admin of two", group(&[(A, Admin, 1), (B, Admin, 2)]), A, Ok(vec![left(A)])),
        ("the last member", group(&[(A, Admin, 1)]), A, Ok(vec![left(A)])),
        ("a stranger", club(), STRANGER, Err("not-member")),
        ("direct", direct(), A, Err("forbidden")),
    ];
    for (name, state, actor, expected) in table {
        assert_eq!(by_code(leave(&state, actor)), expected, "{name}");
    }
}
