//! What is told, by what was noted and when.

use super::{GONE_AFTER, Told, Watch};
use fastchat_wire::{AccountId, limits::PRESENCE_ACCOUNTS_MAX};
use std::time::Duration;
use tokio::time::Instant;

fn account(n: u16) -> AccountId {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&n.to_be_bytes());
    AccountId(id)
}

const ALICE: u16 = 1;
const BOB: u16 = 2;

/// Alice watches Bob, who is not there.
fn alice_watches_bob() -> Watch {
    let mut watch = Watch::default();
    let standing = watch.watch(account(ALICE), &[account(BOB)], |_| false);
    assert_eq!(standing, [(account(BOB), false)]);
    watch
}

fn bob(online: bool) -> Vec<Told> {
    vec![Told {
        account: account(BOB),
        online,
        to: vec![account(ALICE)],
    }]
}

#[test]
fn who_comes_is_told_at_once_and_who_goes_after_a_while() {
    let (mut watch, now) = (alice_watches_bob(), Instant::now());
    assert!(watch.note(&[account(BOB), account(9)]));
    assert_eq!(watch.look(now, |_| true), bob(true));
    assert!(watch.look(now, |_| true).is_empty(), "once");
    watch.note(&[account(BOB)]);
    assert!(watch.look(now, |_| false).is_empty());
    assert_eq!(watch.due(), Some(now + GONE_AFTER));
    assert!(watch.look(now + GONE_AFTER - Duration::from_millis(1), |_| false).is_empty());
    assert_eq!(watch.look(now + GONE_AFTER, |_| false), bob(false));
    assert_eq!(watch.due(), None);
}

#[test]
fn who_is_back_in_time_was_never_away() {
    let (mut watch, now) = (alice_watches_bob(), Instant::now());
    let second = Duration::from_secs(1);
    watch.note_all();
    watch.look(now, |_| true);
    for round in 0..5 {
        watch.note_all();
        assert!(watch.look(now + second * (2 * round), |_| false).is_empty());
        watch.note_all();
        assert!(watch.look(now + second * (2 * round + 1), |_| true).is_empty());
    }
    // The last of several times to go counts from when it went last.
    watch.note_all();
    let went = now + second * 10;
    assert!(watch.look(went, |_| false).is_empty());
    assert!(watch.look(went + second, |_| false).is_empty());
    assert_eq!(watch.look(went + GONE_AFTER, |_| false), bob(false));
}

#[test]
fn nobody_is_told_of_an_account_that_it_does_not_watch_any_more() {
    let (mut watch, now) = (alice_watches_bob(), Instant::now());
    watch.watch(account(3), &[account(BOB)], |_| false);
    watch.unwatch(account(ALICE));
    watch.note(&[account(BOB)]);
    let told = watch.look(now, |_| true);
    assert_eq!(told[0].to, [account(3)]);
    watch.unwatch(account(3));
    assert!(!watch.note(&[account(BOB)]), "nobody asks");
    assert_eq!(watch.len(), 0);
    assert!(watch.watching.is_empty() && watch.changed.is_empty());
}

#[test]
fn whoever_asks_later_learns_how_it_stands() {
    let (mut watch, now) = (alice_watches_bob(), Instant::now());
    watch.note_all();
    watch.look(now, |_| true);
    assert_eq!(watch.watch(account(3), &[account(BOB)], |_| true), [(account(BOB), true)]);
    watch.note_all();
    watch.look(now, |_| false);
    let standing = watch.watch(account(4), &[account(BOB)], |_| false);
    assert_eq!(standing, [(account(BOB), true)], "its absence is told to all together");
    assert_eq!(watch.look(now + GONE_AFTER, |_| false)[0].to.len(), 3);
}

#[test]
fn one_account_is_told_of_a_bounded_number() {
    let mut watch = Watch::default();
    let contacts: Vec<_> = (1..=u16::try_from(PRESENCE_ACCOUNTS_MAX).unwrap()).map(account).collect();
    let (first, rest) = contacts.split_at(10);
    assert_eq!(watch.watch(account(0), first, |_| false).len(), 10);
    assert_eq!(watch.watch(account(0), rest, |_| false).len(), rest.len());
    assert!(
        watch.watch(account(0), &[account(60_000)], |_| true).is_empty(),
        "one past the bound"
    );
    assert_eq!(
        watch.watch(account(0), first, |_| true).len(),
        10,
        "those that it is told of, again"
    );
    assert_eq!(watch.len(), PRESENCE_ACCOUNTS_MAX);
}

#[test]
fn a_conversation_that_begins_is_watched_by_those_that_asked_for_theirs() {
    let mut watch = Watch::default();
    watch.watch(account(ALICE), &[], |_| false);
    assert_eq!(watch.began([account(ALICE), account(BOB)], |_| true), bob(true));
    watch.note_all();
    watch.look(Instant::now(), |_| false);
    assert_eq!(watch.look(Instant::now() + GONE_AFTER, |_| false), bob(false));
    assert!(watch.began([account(8), account(9)], |_| true).is_empty(), "neither has asked");
}
