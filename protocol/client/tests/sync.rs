//! Whatever is pushed, doubled, lost and reordered: each entry once, in order.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use fastchat_client::{
    Entry,
    chat::Page,
    sync::{Log, Step},
};
use fastchat_wire::{EntryId, LogId, chat::entry::EntryEvent};
use proptest::prelude::*;

const LOG: LogId = LogId([7; 16]);

fn entry(seq: u64) -> Entry {
    Entry {
        head: EntryEvent {
            log: LOG,
            seq,
            at: seq,
            kind: "app".to_owned(),
            entry: EntryId([1; 16]),
            from: None,
            device: None,
            epoch: None,
            block_sha256: None,
        },
        block: Bytes::from(seq.to_string()),
    }
}

/// The server's log: readable from `first`, growing.
struct Server {
    first: u64,
    last: u64,
}

impl Server {
    fn page(&self, after: u64, limit: u64) -> Page {
        let begin = self.first.max(after + 1);
        let entries: Vec<Entry> = (begin..=self.last).take(usize::try_from(limit).unwrap()).map(entry).collect();
        Page {
            more: entries.last().map_or(after, Entry::seq) < self.last,
            entries,
            first_seq: self.first,
            last_seq: self.last,
        }
    }
}

#[derive(Debug, Clone)]
enum Move {
    /// The log grows.
    Append(u64),
    /// A push of some entry that is there, new or old; maybe there is no room for it.
    Push { which: u64, room: bool },
    /// A `behind` or a listing.
    Bell,
    /// A fetch begins, if one is due.
    Begin,
    /// The fetch is answered, with the log as it is now.
    Answer { limit: u64 },
    /// The connection is lost with the fetch.
    Lose,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => (1..6u64).prop_map(Move::Append),
        6 => (0..u64::MAX, any::<bool>()).prop_map(|(which, room)| Move::Push { which, room }),
        1 => Just(Move::Bell),
        3 => Just(Move::Begin),
        3 => (1..5u64).prop_map(|limit| Move::Answer { limit }),
        1 => Just(Move::Lose),
    ];
    prop::collection::vec(one, 0..120)
}

proptest! {
    #[test]
    fn each_entry_comes_once_and_in_order(first in 1..5u64, cursor in 0..8u64, moves in moves()) {
        let mut server = Server { first, last: first.max(cursor + 1) - 1 };
        let mut log = Log::new(cursor);
        let mut steps = Vec::new();
        let mut fetching = None;
        for step in moves {
            match step {
                Move::Append(more) => server.last += more,
                Move::Push { which, room } if server.last >= server.first => {
                    let seq = server.first + which % (server.last - server.first + 1);
                    if room { log.heard(entry(seq), true, &mut steps) } else { log.rung(seq) }
                }
                Move::Push { .. } => {}
                Move::Bell => log.rung(server.last),
                Move::Begin => if fetching.is_none() && log.wants_fetch() { fetching = Some(log.begin_fetch()) },
                Move::Answer { limit } => if let Some(after) = fetching.take() {
                    log.fetched(LOG, server.page(after, limit), &mut steps).unwrap();
                },
                Move::Lose => if fetching.take().is_some() { log.fetch_failed() },
            }
        }
        // In the end somebody rings, and the network is well.
        if fetching.is_some() { log.fetch_failed() }
        log.rung(server.last);
        let mut turns = 0;
        while log.wants_fetch() {
            let after = log.begin_fetch();
            log.fetched(LOG, server.page(after, 3), &mut steps).unwrap();
            turns += 1;
            prop_assert!(turns < 1_000, "it fetches for ever");
        }
        prop_assert_eq!(log.held_bytes(), 0);
        let mut at = cursor;
        for step in steps {
            match step {
                Step::Entry(got) => {
                    prop_assert_eq!(got.seq(), at + 1);
                    prop_assert_eq!(&got, &entry(at + 1));
                    at += 1;
                }
                Step::Gap { after, first, .. } => {
                    prop_assert_eq!((after, first), (at, server.first));
                    prop_assert!(first > at + 1);
                    at = first - 1;
                }
            }
        }
        prop_assert_eq!(at, server.last.max(cursor));
    }

    #[test]
    fn no_page_makes_a_log_go_back_or_panic(
        cursor in 0..10u64, first_seq in any::<u64>(), last_seq in any::<u64>(), more in any::<bool>(),
        seqs in prop::collection::vec(prop_oneof![0..20u64, any::<u64>()], 0..6),
    ) {
        let mut log = Log::new(cursor);
        log.touched();
        log.begin_fetch();
        let mut steps = Vec::new();
        let page = Page { entries: seqs.into_iter().map(entry).collect(), first_seq, last_seq, more };
        let _ = log.fetched(LOG, page, &mut steps);
        prop_assert!(log.cursor() >= cursor);
        let forward = steps.windows(2).all(|two| match two {
            [Step::Entry(a), Step::Entry(b)] => a.seq() < b.seq(),
            _ => true,
        });
        prop_assert!(forward);
    }
}

#[test]
fn a_page_without_what_it_promises_is_an_error_and_not_a_loop() {
    let mut log = Log::new(0);
    log.rung(5);
    log.begin_fetch();
    let page = Page {
        entries: Vec::new(),
        first_seq: 1,
        last_seq: 5,
        more: true,
    };
    assert!(log.fetched(LOG, page, &mut Vec::new()).is_err());
}

#[test]
fn an_own_append_that_closes_the_hole_needs_no_fetch() {
    let mut log = Log::new(0);
    let mut steps = Vec::new();
    log.heard(entry(2), true, &mut steps);
    assert!(log.wants_fetch() && log.has_hole_only());
    log.heard(entry(1), true, &mut steps);
    assert!(!log.wants_fetch());
    assert_eq!(steps, [Step::Entry(entry(1)), Step::Entry(entry(2))]);
}
