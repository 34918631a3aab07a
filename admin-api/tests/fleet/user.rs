//! A person with a raw client that survives what happens to servers: assigned
//! by the balancer, resumed with its token, fetching what it missed, sending
//! again what was not acknowledged.

use super::client::{Client, Failure, Me, Outcome, append, assign, new_id};
use bytes::Bytes;
use fastchat_wire::{
    Block, EntryId, EventName, Frame, Kind, LogId,
    chat::{append::Appended, assign::Assign, conversations::Conversations, entry::EntryEvent},
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

/// Appends that may wait for their answer.
const WINDOW: usize = 64;
/// Nothing arrived for so long, and something is missing: fetch.
const QUIET: Duration = Duration::from_millis(500);

/// A person with a raw client.
pub(crate) struct User {
    pub(crate) me: Me,
    balancer: String,
    pub(crate) client: Option<Client>,
    /// The server that it was sent to last.
    pub(crate) server: String,
    /// What it knows of each log: by seq, the entry's id.
    pub(crate) seen: HashMap<LogId, BTreeMap<u64, EntryId>>,
    /// Not yet acknowledged, oldest first.
    unacknowledged: VecDeque<(LogId, EntryId, Bytes)>,
    /// Requests that are out, by id.
    pending: HashMap<u64, EntryId>,
    /// Acknowledged, with their numbers.
    pub(crate) acknowledged: HashMap<EntryId, (LogId, u64)>,
    /// Connections lost so far.
    pub(crate) losses: u32,
    /// Fetches that were needed beside those of a new connection.
    pub(crate) hole_fetches: u32,
    /// The last pushed number of each log on this connection.
    pushed: HashMap<LogId, u64>,
}

impl User {
    /// Registers a name on the server that the balancer gives.
    pub(crate) async fn register(balancer: &str, name: &str) -> Self {
        let assigned = assign(balancer, &Assign::default()).await.expect("the balancer has a server");
        let address = assigned.address.expect("an address");
        let mut client = Client::greeted(&address, Some(assigned.ticket)).await.expect("the server greets");
        let me = client.register(name).await.expect("a new name registers").into();
        let mut user = Self {
            me,
            balancer: balancer.to_owned(),
            client: Some(client),
            server: assigned.server,
            seen: HashMap::new(),
            unacknowledged: VecDeque::new(),
            pending: HashMap::new(),
            acknowledged: HashMap::new(),
            losses: 0,
            hole_fetches: 0,
            pushed: HashMap::new(),
        };
        user.client()
            .ask(&Conversations { after: None, limit: 1 })
            .await
            .expect("conversations are answered");
        user
    }

    pub(crate) fn client(&mut self) -> &mut Client {
        self.client.as_mut().expect("online")
    }

    /// Closes the connection; nothing is sent or received until the next run.
    pub(crate) fn go_offline(&mut self) {
        self.client = None;
    }

    /// Queues an append.
    pub(crate) fn write(&mut self, log: LogId, text: String) {
        self.unacknowledged.push_back((log, new_id(), text.into()));
    }

    /// Follows a log from its beginning.
    pub(crate) fn follow(&mut self, log: LogId) {
        self.seen.entry(log).or_default();
    }

    fn has_all(&self, expected: &HashMap<LogId, u64>) -> bool {
        self.unacknowledged.is_empty()
            && expected.iter().all(|(log, last)| {
                self.seen
                    .get(log)
                    .is_some_and(|seen| seen.len() as u64 == *last && seen.keys().next_back() == Some(last))
            })
    }

    /// Runs until everything is acknowledged and every log is known through its
    /// expected last number, coming back through the balancer after each loss.
    pub(crate) async fn run(&mut self, expected: &HashMap<LogId, u64>, patience: Duration) {
        let deadline = Instant::now() + patience;
        while !self.has_all(expected) {
            assert!(
                Instant::now() < deadline,
                "{} unacknowledged, known: {:?}",
                self.unacknowledged.len(),
                self.seen.iter().map(|(log, seen)| (log, seen.len())).collect::<Vec<_>>()
            );
            if self.client.is_none() && self.come_back().await.is_err() {
                sleep(Duration::from_millis(50)).await;
                continue;
            }
            match self.exchange(expected, deadline).await {
                Ok(()) => {}
                Err(Failure::Gone(_)) => {
                    self.client = None;
                    self.losses += 1;
                }
                Err(Failure::Refused(error)) if error.code.is_retryable() => {
                    sleep(Duration::from_millis(error.retry_after_ms.unwrap_or(50))).await;
                }
                Err(Failure::Refused(error)) => panic!("refused: {error}"),
            }
        }
    }

    /// Assigned, greeted, resumed, and all logs fetched.
    pub(crate) async fn come_back(&mut self) -> Outcome<()> {
        let assigned = assign(
            &self.balancer,
            &Assign {
                resume: true,
                ..Assign::default()
            },
        )
        .await?;
        sleep(Duration::from_millis(assigned.wait_ms)).await;
        let mut client = Client::greeted(&assigned.address.expect("an address"), Some(assigned.ticket)).await?;
        self.me.token = client.resume(&self.me.token).await?.token;
        self.server = assigned.server;
        self.client = Some(client);
        self.pushed.clear();
        self.pending.clear();
        for log in self.seen.keys().copied().collect::<Vec<_>>() {
            self.catch_up(log).await?;
        }
        Ok(())
    }

    /// The number through which nothing is missing.
    fn cursor(&self, log: LogId) -> u64 {
        self.seen[&log]
            .keys()
            .zip(1..)
            .take_while(|(seq, n)| *seq == n)
            .last()
            .map_or(0, |(seq, _)| *seq)
    }

    async fn catch_up(&mut self, log: LogId) -> Outcome<()> {
        loop {
            let after = self.cursor(log);
            let (entries, fetched) = self.client().fetch(log, after).await?;
            for (entry, _) in entries {
                self.note(log, entry.seq, entry.entry);
            }
            if !fetched.more {
                return Ok(());
            }
        }
    }

    fn note(&mut self, log: LogId, seq: u64, entry: EntryId) {
        let known = self.seen.entry(log).or_default().insert(seq, entry);
        assert!(known.is_none_or(|known| known == entry), "seq {seq} is {known:?} and {entry:?}");
    }

    /// Sends what the window allows, reads until everything is there or the line is quiet.
    async fn exchange(&mut self, expected: &HashMap<LogId, u64>, deadline: Instant) -> Outcome<()> {
        loop {
            self.fill_window().await?;
            if self.has_all(expected) {
                return Ok(());
            }
            let frame = match self.client().events.pop_front() {
                Some(frame) => Some(frame),
                None => timeout(QUIET, self.client().frame()).await.ok().transpose()?,
            };
            match frame {
                Some(frame) => self.take(&frame)?,
                None if Instant::now() > deadline => return Ok(()),
                None => {
                    let missing: Vec<_> = expected
                        .iter()
                        .filter(|(log, last)| self.cursor(**log) < **last)
                        .map(|(log, _)| *log)
                        .collect();
                    for log in missing {
                        let before = self.seen[&log].len();
                        self.catch_up(log).await?;
                        self.hole_fetches += u32::from(self.seen[&log].len() > before);
                    }
                }
            }
        }
    }

    async fn fill_window(&mut self) -> Outcome<()> {
        let out: Vec<EntryId> = self.pending.values().copied().collect();
        let room = WINDOW.saturating_sub(out.len());
        let next: Vec<_> = self
            .unacknowledged
            .iter()
            .filter(|(_, entry, _)| !out.contains(entry))
            .take(room)
            .cloned()
            .collect();
        for (log, entry, text) in next {
            let id = self.client().send(&append(log, entry), &Block::binary(text)).await?;
            self.pending.insert(id, entry);
        }
        Ok(())
    }

    fn take(&mut self, frame: &Frame) -> Outcome<()> {
        match frame.head.kind {
            Kind::Event {
                name: Some(EventName::Entry),
                ..
            } => {
                let event: EntryEvent = frame.parse().map_err(Failure::Refused)?;
                let last = self.pushed.insert(event.log, event.seq);
                assert!(
                    last.is_none_or(|last| last < event.seq),
                    "pushes of one log out of order: {last:?}, then {}",
                    event.seq
                );
                if self.seen.contains_key(&event.log) {
                    self.note(event.log, event.seq, event.entry);
                }
            }
            Kind::Response { re: Some(re), .. } => {
                let Some(entry) = self.pending.remove(&re) else { return Ok(()) };
                if let Some(error) = frame.failure() {
                    return Err(Failure::Refused(error));
                }
                let appended: Appended = frame.parse().map_err(Failure::Refused)?;
                let at = self
                    .unacknowledged
                    .iter()
                    .position(|(_, waiting, _)| *waiting == entry)
                    .expect("an entry that waits");
                let (log, ..) = self.unacknowledged.remove(at).expect("an entry that waits");
                self.acknowledged.insert(entry, (log, appended.seq));
                self.note(log, appended.seq, entry);
            }
            _ => {}
        }
        Ok(())
    }
}
