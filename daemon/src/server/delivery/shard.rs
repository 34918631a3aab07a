//! One shard: its logs' feeds and rosters, and the pushing itself.

use super::{Command, Origin, Parts};
use crate::{
    bus::Message,
    server::{
        feed::{Doorbell, Feed, Ready},
        hub::Pushed,
    },
    store::logs::{Entry, Membership, Roster},
};
use bytes::Bytes;
use fastchat_wire::{
    AccountId, Block, DeviceId, EncodeError, LogId, chat::entry::EntryEvent, encode_event, encoding::Bytes64, limits::BLOCK_BYTES_MAX,
};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, interval, sleep_until},
};

/// Logs that nobody here reads are forgotten so often.
const SWEEP: Duration = Duration::from_secs(60);
/// Entries of a hole that are read at once.
const HOLE_CHUNK: u64 = 500;
/// After a read failed, it is tried again after this time.
const RETRY: Duration = Duration::from_millis(250);

/// Bytes of a hole's blocks that are read at once: more than any one block has.
const HOLE_BYTES: usize = 2 * BLOCK_BYTES_MAX;

/// One log as this server pushes it.
struct Active {
    feed: Feed,
    roster: Option<Arc<Roster>>,
    /// Who signed in here and reads it; the roster may not know them yet.
    readers: BTreeSet<AccountId>,
}

pub(super) struct Shard {
    pub(super) parts: Parts,
    logs: HashMap<LogId, Active>,
}

/// The encoded event, as each reader gets it.
struct Encoded {
    whole: Bytes,
    /// For devices that a Welcome is not for: its hash in place of its block.
    hashed: Option<Bytes>,
    welcome_to: Arc<[DeviceId]>,
}

impl Shard {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            parts,
            logs: HashMap::new(),
        }
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut sweep = interval(SWEEP);
        // Holes are few: one deadline for the earliest is enough.
        let mut due: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                // Before new doorbells, or a busy shard would never do either.
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => due = self.read_holes().await,
                _ = sweep.tick() => self.sweep(),
                command = commands.recv() => match command {
                    Some(command) => due = earliest(due, self.handle(command).await),
                    None => return,
                },
            }
        }
    }

    /// Answers when a hole of the command's log is to be read.
    async fn handle(&mut self, command: Command) -> Option<Instant> {
        match command {
            Command::Ring { log, bell, origin, room } => {
                let due = self.ring(log, bell, origin).await;
                drop(room);
                due
            }
            Command::Activate(account, logs) => {
                for (log, last_seq) in logs {
                    self.activate(account, log, last_seq);
                }
                None
            }
            Command::Joined(memberships) => {
                let due = memberships.iter().map(|membership| self.joined(membership));
                due.fold(None, earliest)
            }
            Command::Active(answer) => {
                let active = self.logs.iter().map(|(log, active)| (*log, active.feed.heard()));
                // Who asked may have ended.
                let _ = answer.send(active.collect());
                None
            }
            Command::Beyond(logs) => {
                let due = logs.into_iter().map(|(log, last_seq)| self.look(log, last_seq));
                due.fold(None, earliest)
            }
            Command::Hint { hint, members_seq, origin } => {
                self.hint(&hint, members_seq, origin).await;
                None
            }
        }
    }

    /// A connection signed in, which learns by itself of everything up to `last_seq`.
    fn activate(&mut self, account: AccountId, log: LogId, last_seq: u64) {
        let hub = &self.parts.hub;
        let active = self.logs.entry(log).or_insert_with(|| Active::new(last_seq));
        let alone = hub.connections_of(account) <= 1 && !active.has_readers(|reader| reader != account && hub.is_online(reader));
        if alone {
            active.feed.skip_to(last_seq, Instant::now());
        }
        active.readers.insert(account);
    }

    /// An account that is here reads a log; where that is news, it is pushed from its beginning there.
    fn joined(&mut self, membership: &Membership) -> Option<Instant> {
        let active = self
            .logs
            .entry(membership.log)
            .or_insert_with(|| Active::new(membership.from_seq.saturating_sub(1)));
        active.readers.insert(membership.account);
        active.look(membership.last_seq, Instant::now())
    }

    async fn ring(&mut self, log: LogId, bell: Doorbell, origin: Origin) -> Option<Instant> {
        let now = Instant::now();
        if !self.logs.contains_key(&log) {
            self.begin(log, &bell).await;
        }
        if origin == Origin::Here {
            self.tell_others(log, &bell).await;
        }
        let active = self.logs.get_mut(&log)?;
        active.feed.ring(bell, now);
        let ready = active.feed.take_ready(now);
        self.push(log, ready).await
    }

    /// A log that nobody here was told of. Whoever reads it here became a member after it had signed in: pushes begin
    /// where its part of the log does, also where another server's bell came first. Somebody whose sign-in is under way
    /// may be pushed what it fetches as well; no more than one read of it.
    async fn begin(&mut self, log: LogId, bell: &Doorbell) {
        self.logs.insert(log, Active::new(bell.seq.saturating_sub(1)));
        let Some(roster) = self.roster(log, bell.members_seq).await else {
            return;
        };
        // Inboxes and archives have no members that change: theirs are known from the sign-in on.
        let is_conversation = roster.members_seq > 0;
        let here = roster.members.iter().filter(|member| self.parts.hub.is_online(member.account));
        let first = here.map(|member| member.from_seq).min();
        if let Some(first) = first.filter(|first| is_conversation && *first <= bell.seq && bell.seq - first < HOLE_CHUNK)
            && let Some(active) = self.logs.get_mut(&log)
        {
            active.feed = Feed::new(first - 1);
        }
    }

    /// Tells the servers on which somebody may read the entry.
    async fn tell_others(&mut self, log: LogId, bell: &Doorbell) {
        if self.parts.peers.nobody_elsewhere() {
            return;
        }
        let Some(roster) = self.roster(log, bell.members_seq).await else {
            // Nobody knows whom it is for: each server looks for itself.
            self.parts.peers.broadcast(&Message::Bell {
                log,
                seq: bell.seq,
                members_seq: bell.members_seq,
            });
            return;
        };
        let readers = roster
            .members
            .iter()
            .filter(|member| member.reads(bell.seq))
            .map(|member| member.account);
        let message = match (&bell.entry, bell.members_seq) {
            (Some(entry), Some(members_seq)) => Message::Entry {
                entry: entry.clone(),
                members_seq,
            },
            _ => Message::Bell {
                log,
                seq: bell.seq,
                members_seq: bell.members_seq,
            },
        };
        self.parts.peers.forward(&readers, &message);
    }

    /// The log's roster of that version or a later one; of now, where the version isn't known.
    pub(super) async fn roster(&mut self, log: LogId, members_seq: Option<u64>) -> Option<Arc<Roster>> {
        let active = self.logs.get(&log);
        if let (Some(roster), Some(needed)) = (active.and_then(|active| active.roster.as_ref()), members_seq)
            && roster.members_seq >= needed
        {
            return Some(Arc::clone(roster));
        }
        match self.parts.store.roster(log).await {
            Ok(roster) => {
                let roster = Arc::new(roster);
                if let Some(active) = self.logs.get_mut(&log) {
                    active.roster = Some(Arc::clone(&roster));
                }
                Some(roster)
            }
            Err(error) => {
                tracing::warn!(%error, "a roster can't be read");
                None
            }
        }
    }

    /// Pushes what is ready, in order; answers when the log's next hole is to be read.
    async fn push(&mut self, log: LogId, ready: Vec<Ready>) -> Option<Instant> {
        for ready in ready {
            let Some(roster) = self.roster(log, ready.members_seq).await else {
                // It and all after it is read again.
                let now = Instant::now();
                self.logs.get_mut(&log)?.feed.put_back(ready.entry.seq, now);
                return Some(now + RETRY);
            };
            self.push_one(&roster, &ready);
        }
        self.logs.get(&log)?.feed.due()
    }

    fn push_one(&self, roster: &Roster, ready: &Ready) {
        let encoded = match encode(&ready.entry) {
            Ok(encoded) => encoded,
            Err(error) => {
                tracing::error!(%error, "an entry can't be written as an event");
                return;
            }
        };
        let mut pushed = Pushed::default();
        if let (true, 1, [one, other]) = (roster.is_direct, ready.entry.seq, &roster.members[..]) {
            self.parts.peers.began([one.account, other.account]);
        }
        for member in roster.members.iter().filter(|member| member.reads(ready.entry.seq)) {
            pushed += self.parts.hub.push(member.account, |online| {
                let appended_it = ready.appender == Some(online.connection);
                let is_for_it = roster.only_device.is_none_or(|device| device == online.identity.device);
                (is_for_it && !appended_it).then(|| encoded.for_device(online.identity.device))
            });
        }
        self.parts.metrics.pushes.inc_by(pushed.queued);
        self.parts.metrics.pushes_dropped.inc_by(pushed.dropped);
    }

    /// Reads the holes whose time has come; answers when the next one is due.
    async fn read_holes(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let holes: Vec<_> = self
            .logs
            .iter()
            .filter_map(|(log, active)| active.feed.hole(now).map(|hole| (*log, hole)))
            .collect();
        let mut retry = None;
        for (log, (first, last)) in holes {
            let last = last.min(first + HOLE_CHUNK - 1);
            self.parts.metrics.holes_read.inc();
            let entries = match self.parts.store.entries(log, first, last, HOLE_BYTES).await {
                Ok(entries) => entries,
                Err(error) => {
                    tracing::warn!(%error, "a hole can't be read: trying again");
                    retry = Some(Instant::now() + RETRY);
                    continue;
                }
            };
            // After its entries, so that it is new enough for all of them.
            if self.roster(log, None).await.is_none() {
                retry = Some(Instant::now() + RETRY);
                continue;
            }
            let Some(active) = self.logs.get_mut(&log) else { continue };
            let read = read_through(&entries, last);
            let ready = active.feed.fill(read, entries, Instant::now());
            self.push(log, ready).await;
        }
        let due = self.logs.values().filter_map(|active| active.feed.due()).min();
        if retry.is_some() { retry } else { due }
    }

    /// The log's last number is that: what nobody here reads any more is forgotten.
    fn look(&mut self, log: LogId, last_seq: u64) -> Option<Instant> {
        let hub = &self.parts.hub;
        let active = self.logs.get_mut(&log)?;
        if active.feed.heard() < last_seq && !active.has_readers(|reader| hub.is_online(reader)) {
            self.logs.remove(&log);
            return None;
        }
        active.look(last_seq, Instant::now())
    }

    /// Forgets the logs that nobody here reads.
    fn sweep(&mut self) {
        let hub = &self.parts.hub;
        self.logs.retain(|_, active| {
            active.readers.retain(|reader| hub.is_online(*reader));
            active.has_readers(|reader| hub.is_online(reader))
        });
    }
}

impl Active {
    /// A log of which nothing after `pushed` was pushed.
    fn new(pushed: u64) -> Self {
        Self {
            feed: Feed::new(pushed),
            roster: None,
            readers: BTreeSet::new(),
        }
    }

    /// True where one of its readers is such.
    fn has_readers(&self, is_such: impl Fn(AccountId) -> bool) -> bool {
        let mut members = self.roster.iter().flat_map(|roster| &roster.members);
        self.readers.iter().any(|reader| is_such(*reader)) || members.any(|member| is_such(member.account))
    }

    /// The log's last number is that: rings where it was missed; answers when the hole is to be read.
    fn look(&mut self, last_seq: u64, now: Instant) -> Option<Instant> {
        if self.feed.heard() >= last_seq {
            return None;
        }
        self.feed.ring(Doorbell::reference(last_seq, None), now);
        self.feed.due()
    }
}

/// Through which number a read of a hole came: it may have ended early by bytes.
fn read_through(entries: &[Entry], last: u64) -> u64 {
    let bytes: usize = entries.iter().map(|entry| entry.block.len()).sum();
    match entries.last() {
        Some(entry) if bytes + BLOCK_BYTES_MAX > HOLE_BYTES => entry.seq,
        _ => last,
    }
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// An entry as an event of a log; `hashed` leaves out the block of a Welcome.
pub(crate) fn event(entry: &Entry, hashed: bool) -> (EntryEvent, Block) {
    let sha256 = hashed.then(|| Bytes64(Sha256::digest(&entry.block).to_vec()));
    let block = if hashed {
        Block::none()
    } else {
        Block::binary(entry.block.clone())
    };
    let event = EntryEvent {
        log: entry.log,
        seq: entry.seq,
        at: entry.at,
        kind: entry.kind.to_string(),
        entry: entry.entry,
        from: entry.from,
        device: entry.device,
        epoch: entry.epoch,
        block_sha256: sha256,
    };
    (event, block)
}

fn encode(entry: &Entry) -> Result<Encoded, EncodeError> {
    let one = |hashed| {
        let (event, block) = event(entry, hashed);
        encode_event(None, &event, &block)
    };
    let is_welcome = entry.kind.as_ref() == fastchat_wire::chat::server_kind::WELCOME;
    Ok(Encoded {
        whole: one(false)?,
        hashed: is_welcome.then(|| one(true)).transpose()?,
        welcome_to: Arc::clone(&entry.welcome_to),
    })
}

impl Encoded {
    fn for_device(&self, device: DeviceId) -> Bytes {
        match &self.hashed {
            Some(hashed) if !self.welcome_to.contains(&device) => hashed.clone(),
            _ => self.whole.clone(),
        }
    }
}
