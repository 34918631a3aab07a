//! What came and went lately, as a trace that can be simulated.
//!
//! A bounded ring: where it is full the oldest event is forgotten, and what it
//! had made of the servers is where the trace begins. Departures are known by
//! server only, so that in the trace anybody departs. A hint is kept as a hash:
//! it does to a strategy what the hint did, and says nothing of whose it is.

use crate::{
    hash,
    shadow::Standing,
    simulate::{Event, Line},
    strategy::ServerIndex,
};
use std::collections::{BTreeMap, VecDeque};

/// Events that are kept; each has 32 bytes.
pub const EVENTS_MAX: usize = 100_000;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    events: VecDeque<Recorded>,
    /// The servers as they were before the first event.
    before: BTreeMap<ServerIndex, Base>,
    /// Names of all servers that are in `before` or in an event.
    names: BTreeMap<ServerIndex, String>,
    /// The servers as they were seen last.
    real: Vec<Standing>,
    /// Since when there was anything to see.
    since: u64,
}

#[derive(Debug, Clone, Copy)]
struct Base {
    weight: f64,
    clients: u64,
}

#[derive(Debug, Clone, Copy)]
struct Recorded {
    at: u64,
    server: ServerIndex,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Up { weight: f64 },
    Down,
    Arrive,
    ArriveHinted(u32),
    Depart,
}

impl Recorder {
    /// A client is about to get a place on the server `picked`: `standings` are from before, in order of their index.
    pub fn assign(
        &mut self,
        now: u64,
        standings: &[Standing],
        name: impl Fn(ServerIndex) -> String,
        hint: Option<&str>,
        picked: ServerIndex,
    ) {
        self.see(now, standings, name);
        // 32 bits of it: enough to tell hints apart, and small.
        let what = hint.map_or(What::Arrive, |hint| What::ArriveHinted((hash::text(hint) >> 32) as u32));
        self.note(now, picked, what);
        if let Ok(at) = self.real.binary_search_by_key(&picked, |standing| standing.index) {
            self.real[at].clients += 1;
        }
    }

    /// Takes over who came and went; `standings` in order of their index.
    pub fn see(&mut self, now: u64, standings: &[Standing], name: impl Fn(ServerIndex) -> String) {
        // Both are in order of their index: one walk over both.
        let mut before = std::mem::take(&mut self.real);
        let mut known = before.iter().peekable();
        for standing in standings {
            while let Some(gone) = known.next_if(|known| known.index < standing.index) {
                self.note(now, gone.index, What::Down);
            }
            let clients = match known.next_if(|known| known.index == standing.index) {
                Some(known) => known.clients,
                None => {
                    self.names.entry(standing.index).or_insert_with(|| name(standing.index));
                    self.note(now, standing.index, What::Up { weight: standing.weight });
                    0
                }
            };
            // More than the ring holds would only push out themselves.
            for _ in 0..standing.clients.saturating_sub(clients).min(EVENTS_MAX as u64) {
                self.note(now, standing.index, What::Arrive);
            }
            for _ in 0..clients.saturating_sub(standing.clients).min(EVENTS_MAX as u64) {
                self.note(now, standing.index, What::Depart);
            }
        }
        for gone in known {
            self.note(now, gone.index, What::Down);
        }
        before.clear();
        before.extend_from_slice(standings);
        self.real = before;
    }

    /// The trace, line by line.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        let first = self.since;
        let before = self.before.iter().map(move |(index, base)| Line {
            at_ms: first,
            event: Event::Up {
                server: self.name(*index),
                weight: base.weight,
                clients: base.clients,
            },
        });
        let events = self.events.iter().map(|recorded| Line {
            at_ms: recorded.at,
            event: match recorded.what {
                What::Up { weight } => Event::Up {
                    server: self.name(recorded.server),
                    weight,
                    clients: 0,
                },
                What::Down => Event::Down {
                    server: self.name(recorded.server),
                    back_within_ms: None,
                },
                What::Arrive => Event::Arrive { client: None, hint: None },
                What::ArriveHinted(hash) => Event::Arrive {
                    client: None,
                    hint: Some(format!("{hash:08x}")),
                },
                What::Depart => Event::Depart { client: None },
            },
        });
        before.chain(events)
    }

    fn name(&self, index: ServerIndex) -> String {
        self.names.get(&index).cloned().unwrap_or_else(|| format!("server-{}", index.0))
    }

    fn note(&mut self, at: u64, server: ServerIndex, what: What) {
        if self.events.len() >= EVENTS_MAX
            && let Some(oldest) = self.events.pop_front()
        {
            self.forget(oldest);
        }
        self.events.push_back(Recorded { at, server, what });
    }

    fn forget(&mut self, oldest: Recorded) {
        self.since = oldest.at;
        match oldest.what {
            What::Up { weight } => {
                self.before.insert(oldest.server, Base { weight, clients: 0 });
            }
            What::Down => {
                self.before.remove(&oldest.server);
                // It may be up again later on.
                if self.events.iter().all(|event| event.server != oldest.server) {
                    self.names.remove(&oldest.server);
                }
            }
            What::Arrive | What::ArriveHinted(_) => self.on(oldest.server, |clients| clients + 1),
            What::Depart => self.on(oldest.server, |clients| clients.saturating_sub(1)),
        }
    }

    fn on(&mut self, server: ServerIndex, change: impl FnOnce(u64) -> u64) {
        if let Some(base) = self.before.get_mut(&server) {
            base.clients = change(base.clients);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::Trace;

    fn standings(clients: &[(u32, u64)]) -> Vec<Standing> {
        let of = |(index, clients): &(u32, u64)| Standing {
            index: ServerIndex(*index),
            clients: *clients,
            weight: 2.0,
            bytes: 0,
        };
        clients.iter().map(of).collect()
    }

    fn name(index: ServerIndex) -> String {
        format!("s{}", index.0)
    }

    fn trace(recorder: &Recorder) -> String {
        let lines = recorder.lines().map(|line| serde_json::to_string(&line).unwrap() + "\n");
        lines.collect()
    }

    #[test]
    fn what_came_and_went_is_a_trace() {
        let mut recorder = Recorder::default();
        recorder.see(5, &standings(&[(1, 1), (2, 0)]), name);
        recorder.assign(6, &standings(&[(1, 1), (2, 0)]), name, Some("room"), ServerIndex(2));
        recorder.see(7, &standings(&[(1, 0), (2, 1)]), name);
        recorder.see(8, &standings(&[(2, 1)]), name);
        let text = trace(&recorder);
        let hint = format!("{:08x}", hash::text("room") >> 32);
        let expected = [
            r#"{"at_ms":5,"event":"up","server":"s1","weight":2.0,"clients":0}"#.to_owned(),
            r#"{"at_ms":5,"event":"arrive"}"#.to_owned(),
            r#"{"at_ms":5,"event":"up","server":"s2","weight":2.0,"clients":0}"#.to_owned(),
            format!(r#"{{"at_ms":6,"event":"arrive","hint":"{hint}"}}"#),
            r#"{"at_ms":7,"event":"depart"}"#.to_owned(),
            r#"{"at_ms":8,"event":"down","server":"s1"}"#.to_owned(),
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        assert!(Trace::parse(&text).is_ok());
    }

    #[test]
    fn where_it_is_full_the_trace_begins_with_what_the_forgotten_had_made() {
        let mut recorder = Recorder::default();
        recorder.see(0, &standings(&[(1, 7), (2, 3)]), name);
        let mut clients = 7;
        for now in 1..=EVENTS_MAX as u64 / 2 + 10 {
            recorder.assign(now, &standings(&[(1, clients), (2, 3)]), name, None, ServerIndex(1));
            recorder.see(now, &standings(&[(1, clients), (2, 3)]), name);
            clients += u64::from(now % 1_000 == 0);
        }
        assert_eq!(recorder.events.len(), EVENTS_MAX);
        let parsed = Trace::parse(&trace(&recorder)).unwrap();
        let up: Vec<_> = parsed.lines()[..2].iter().map(|line| &line.event).collect();
        assert!(
            matches!(
                up[0],
                Event::Up {
                    clients: 7,
                    weight: 2.0,
                    ..
                }
            ),
            "{up:?}"
        );
        assert!(matches!(up[1], Event::Up { clients: 3, .. }), "{up:?}");
        assert!(parsed.span().0 > 0);
    }

    #[test]
    fn a_server_has_its_name_as_long_as_anything_is_kept_of_it() {
        let mut recorder = Recorder::default();
        recorder.see(0, &standings(&[(1, 0), (2, 0)]), name);
        recorder.see(1, &standings(&[(2, 0)]), name);
        recorder.see(2, &standings(&[(1, 0), (2, 0)]), name);
        let busy = |clients| standings(&[(1, 0), (2, clients)]);
        recorder.see(3, &busy(EVENTS_MAX as u64 - 1), name);
        assert!(trace(&recorder).contains(r#""server":"s1""#));
        recorder.see(4, &standings(&[(2, EVENTS_MAX as u64 - 1)]), name);
        recorder.see(5, &standings(&[(2, 0)]), name);
        recorder.see(6, &standings(&[(2, 9)]), name);
        assert_eq!(recorder.names.len(), 1, "{:?}", recorder.names);
    }

    #[test]
    fn a_server_that_lies_fills_the_ring_at_most() {
        let mut recorder = Recorder::default();
        recorder.see(0, &standings(&[(1, 1 << 53)]), name);
        recorder.see(1, &standings(&[(1, 0)]), name);
        assert_eq!(recorder.events.len(), EVENTS_MAX);
        assert!(Trace::parse(&trace(&recorder)).is_ok());
    }

    #[test]
    fn an_event_has_32_bytes() {
        assert!(size_of::<Recorded>() <= 32);
    }
}
