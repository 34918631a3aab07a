use super::*;
use bytes::Bytes;
use std::collections::VecDeque;

/// Two tables with a broker between them that the test is.
struct Two {
    tables: [Table; 2],
    now: Instant,
}

const NAMES: [&str; 2] = ["s1", "s2"];

impl Two {
    fn new() -> Self {
        let table = |index: usize| {
            let mut table = Table::new(NAMES[index].into(), 10 + index as u64);
            table.set_peers(NAMES.into_iter());
            table
        };
        Self {
            tables: [table(0), table(1)],
            now: Instant::now(),
        }
    }

    /// Two that hear each other.
    fn linked() -> Self {
        let mut two = Self::new();
        two.beats();
        two
    }

    /// Each beats twice and hears the other.
    fn beats(&mut self) {
        for from in [0, 1, 0, 1] {
            let beat = self.tables[from].beat(self.now);
            self.hear(1 - from, &beat, 0);
        }
    }

    fn hear(&mut self, at: usize, body: &Body, messages: u64) -> Heard {
        let from = 1 - at;
        let incarnation = self.tables[from].incarnation;
        self.tables[at].hear(NAMES[from], incarnation, body, messages, self.now)
    }

    /// That many messages from the first to the second, as one run.
    fn run(&mut self, messages: u64) -> Body {
        let (to, first) = self.tables[0].number_one("s2").expect("a link");
        for _ in 1..messages {
            self.tables[0].number_one("s2");
        }
        Body::Run {
            to,
            first,
            broadcasts: self.tables[0].broadcasts(),
            frames: Bytes::new(),
        }
    }

    fn run_to_all(&mut self) -> Body {
        Body::Run {
            to: To::All,
            first: self.tables[0].number_all(),
            broadcasts: 0,
            frames: Bytes::new(),
        }
    }
}

fn listening(peer: &str, link: u64) -> BusEvent {
    BusEvent::Listening(peer.into(), link)
}

fn hears(peer: &str) -> BusEvent {
    BusEvent::Hears(peer.into())
}

fn silent(peer: &str) -> BusEvent {
    BusEvent::Silent(peer.into())
}

fn deaf(peer: &str, link: u64) -> BusEvent {
    BusEvent::Deaf(peer.into(), link)
}

fn gap(peer: &str) -> BusEvent {
    BusEvent::Gap(peer.into())
}

#[test]
fn a_link_is_up_once_the_other_side_names_this_life() {
    let mut two = Two::new();
    let first = two.tables[0].beat(two.now);
    let heard = two.hear(1, &first, 0);
    assert!(heard.events.is_empty() && heard.beat, "it has not heard of us: answer at once");
    let answer = two.tables[1].beat(two.now);
    let heard = two.hear(0, &answer, 0);
    assert_eq!(heard.events, [listening("s2", 1), hears("s2")]);
    assert!(two.tables[0].is_whole() && !two.tables[1].is_whole());
    // A message says the same as a heartbeat, and may come before it.
    let run = two.run(1);
    let heard = two.hear(1, &run, 1);
    assert_eq!((heard.events, heard.take), (vec![listening("s1", 1), hears("s1")], true));
    assert!(two.tables[1].is_whole());
}

#[test]
fn messages_that_are_missing_show_at_the_next_one_or_by_heartbeats() {
    let mut two = Two::linked();
    let runs: VecDeque<Body> = (0..3).map(|_| two.run(2)).collect();
    assert!(two.hear(1, &runs[0], 2).take);
    let heard = two.hear(1, &runs[2], 2);
    assert_eq!((heard.events, heard.lost, heard.take), (vec![gap("s1")], 2, true));
    let late = two.hear(1, &runs[1], 2);
    assert!(!late.take && late.stale, "too late: it was said to be lost");

    two.run(3);
    let beat = two.tables[0].beat(two.now);
    two.tables[1].drained();
    assert_eq!(two.hear(1, &beat, 0).lost, 0, "it may be on its way on the other subject");
    let beat = two.tables[0].beat(two.now);
    assert_eq!(two.hear(1, &beat, 0).lost, 0, "or wait there: nobody saw that nothing did");
    let beat = two.tables[0].beat(two.now);
    two.tables[1].drained();
    let heard = two.hear(1, &beat, 0);
    assert_eq!((heard.events, heard.lost), (vec![gap("s1")], 3));
    let beat = two.tables[0].beat(two.now);
    assert_eq!(two.hear(1, &beat, 0).lost, 0, "once");
}

#[test]
fn messages_to_all_have_a_count_of_their_own() {
    let mut two = Two::linked();
    let runs: Vec<Body> = (0..3).map(|_| two.run_to_all()).collect();
    assert!(two.hear(1, &runs[0], 1).take);
    let heard = two.hear(1, &runs[2], 1);
    assert_eq!((heard.lost, heard.take), (1, true));
    assert!(two.hear(1, &runs[0], 1).stale);
    two.run_to_all();
    let beat = two.tables[0].beat(two.now);
    assert_eq!(two.hear(1, &beat, 0).lost, 1, "heartbeats come on the same subject, in order");
}

#[test]
fn a_peer_that_proves_nothing_for_a_second_is_down_on_both_sides() {
    let mut two = Two::linked();
    two.now += LINK_SILENCE;
    assert!(two.tables[0].expire(two.now).is_empty());
    two.now += Duration::from_millis(1);
    assert_eq!(two.tables[0].expire(two.now), [deaf("s2", 1), silent("s2")]);
    assert!(two.tables[0].number_one("s2").is_none());

    // The other one still hears us, but is not named any more.
    let beat = two.tables[0].beat(two.now);
    two.hear(1, &beat, 0);
    assert_eq!(two.tables[1].expire(two.now), [deaf("s1", 1), silent("s1")]);
}

#[test]
fn time_in_which_nobody_could_read_is_no_silence() {
    let mut two = Two::linked();
    let pause = LINK_SILENCE * 5;
    two.now += pause;
    two.tables[0].paused(pause);
    assert!(two.tables[0].expire(two.now).is_empty());
}

#[test]
fn a_peer_that_was_lost_for_a_moment_is_heard_anew_on_both_sides() {
    let mut two = Two::linked();
    assert_eq!(two.tables[0].disconnect(), [deaf("s2", 1), silent("s2")]);
    let beat = two.tables[1].beat(two.now);
    let heard = two.hear(0, &beat, 0);
    assert_eq!(
        heard.events,
        [listening("s2", 2), hears("s2"), gap("s2")],
        "what it sent meanwhile is missing"
    );
    let beat = two.tables[0].beat(two.now);
    let heard = two.hear(1, &beat, 0);
    assert_eq!(heard.events, [silent("s1"), hears("s1")], "it rang for nothing meanwhile");
    let run = two.run(1);
    let heard = two.hear(1, &run, 1);
    assert_eq!((heard.lost, heard.take), (0, true), "the count of the new link begins at one");
}

#[test]
fn a_server_that_started_again_is_another_and_its_former_life_is_an_echo() {
    let mut two = Two::linked();
    let before = two.run(1);
    let beat_before = two.tables[0].beat(two.now);
    two.tables[0] = Table::new("s1".into(), 20);
    two.tables[0].set_peers(NAMES.into_iter());
    let beat = two.tables[0].beat(two.now);
    let heard = two.hear(1, &beat, 0);
    assert_eq!((heard.events, heard.beat), (vec![deaf("s1", 1), silent("s1")], true));
    for echo in [&before, &beat_before] {
        let heard = two.tables[1].hear("s1", 10, echo, 1, two.now);
        assert!(heard.stale && !heard.take && heard.events.is_empty());
    }
    two.beats();
    assert!(two.tables[1].is_whole());
}

#[test]
fn what_was_meant_for_a_former_life_of_ours_proves_nothing() {
    let mut two = Two::linked();
    let recorded = [two.run(1), two.tables[0].beat(two.now)];
    two.tables[1] = Table::new("s2".into(), 21);
    two.tables[1].set_peers(NAMES.into_iter());
    for echo in &recorded {
        let heard = two.hear(1, echo, 1);
        assert!(!heard.take && heard.events.is_empty(), "{heard:?}");
    }
    assert!(!two.tables[1].is_whole());
}

#[test]
fn a_heartbeat_that_is_sent_again_is_stale() {
    let mut two = Two::linked();
    let beat = two.tables[0].beat(two.now);
    assert!(!two.hear(1, &beat, 0).stale);
    assert!(two.hear(1, &beat, 0).stale);
}

#[test]
fn who_is_not_in_the_spec_is_not_heard_and_who_leaves_it_is_down() {
    let mut two = Two::linked();
    let beat = two.tables[0].beat(two.now);
    let heard = two.tables[1].hear("s9", 1, &beat, 0, two.now);
    assert_eq!(heard, Heard::default());
    let (gone, events) = two.tables[1].set_peers(["s2", "s3"].into_iter());
    assert_eq!(gone.iter().map(|name| &**name).collect::<Vec<_>>(), ["s1"]);
    assert_eq!(events, [deaf("s1", 1), silent("s1")]);
    assert!(!two.tables[1].is_whole(), "the third one was never heard");
}
