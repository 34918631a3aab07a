//! What the evidence proves. Pure.

use super::evidence::{Entry, Evidence, Message, Record};
use fastchat_wire::LogId;
use std::{
    collections::{HashMap, HashSet},
    fmt,
};

/// Findings that are kept in words; the rest is only counted.
const FINDINGS_MAX: usize = 100;

/// Where something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the log.
    Log,
    /// In what a member took in.
    Member(usize),
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Acknowledged as this entry, and not there.
    Missing(u64),
    /// There before.
    Doubled(u64),
    /// A later one came before it.
    OutOfOrder(u64),
    /// The numbers before this entry's are not used.
    Hole(u64),
    /// Another message stands at this entry than was acknowledged or is in the log.
    Altered(u64),
    /// Nobody sent what stands at this entry.
    Stranger(u64),
}

/// One thing that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) log: LogId,
    pub(crate) place: Place,
    pub(crate) wrong: Wrong,
    pub(crate) message: Option<Message>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message {
            Some(Message { sender, number }) => write!(f, "message {number} of member {sender}")?,
            None => f.write_str("an entry")?,
        }
        let (what, seq) = match self.wrong {
            Wrong::Missing(seq) => ("is missing: it was stored as", seq),
            Wrong::Doubled(seq) => ("is there twice, the second time as", seq),
            Wrong::OutOfOrder(seq) => ("comes after a later one, as", seq),
            Wrong::Hole(seq) => ("comes after a hole, as", seq),
            Wrong::Altered(seq) => ("is not what stands elsewhere as", seq),
            Wrong::Stranger(seq) => ("was sent by nobody, and stands as", seq),
        };
        write!(f, " {what} entry {seq}")?;
        match self.place {
            Place::Log => write!(f, " in log {}", self.log),
            Place::Member(member) => write!(f, " of log {}, at member {member}", self.log),
        }
    }
}

/// What the evidence proves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) missing: u64,
    pub(crate) duplicates: u64,
    pub(crate) out_of_order: u64,
    /// The first of them, with those that are none of these.
    pub(crate) findings: Vec<Finding>,
    /// Messages that were sent, and neither acknowledged nor refused.
    pub(crate) unacknowledged: u64,
}

/// Judges all conversations.
pub(crate) fn judge(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict::default();
    for record in &evidence.conversations {
        let mut judge = Judge {
            record,
            verdict: &mut verdict,
        };
        let log = judge.log();
        judge.acknowledgements(&log);
        for (member, taken) in record.taken.iter().enumerate() {
            judge.member(member, taken, &log);
        }
        let sent: u64 = record.sent.iter().sum();
        let known: HashSet<_> = record.acknowledged.iter().map(|acknowledged| acknowledged.message).collect();
        verdict.unacknowledged += sent.saturating_sub(known.len() as u64);
    }
    verdict
}

struct Judge<'a> {
    record: &'a Record,
    verdict: &'a mut Verdict,
}

/// A log by number.
type Log = HashMap<u64, Option<Message>>;

impl Judge<'_> {
    fn find(&mut self, place: Place, wrong: Wrong, message: Option<Message>) {
        match wrong {
            Wrong::Missing(_) | Wrong::Hole(_) => self.verdict.missing += 1,
            Wrong::Doubled(_) => self.verdict.duplicates += 1,
            Wrong::OutOfOrder(_) => self.verdict.out_of_order += 1,
            Wrong::Altered(_) | Wrong::Stranger(_) => {}
        }
        if self.verdict.findings.len() < FINDINGS_MAX {
            let log = self.record.log;
            self.verdict.findings.push(Finding {
                log,
                place,
                wrong,
                message,
            });
        }
    }

    /// The log by itself: numbers without holes, each message once, those of each sender in order.
    fn log(&mut self) -> Log {
        let mut log = Log::new();
        let mut seen = HashSet::new();
        let mut latest: HashMap<u32, u64> = HashMap::new();
        let mut last_seq = 0;
        for Entry { seq, message } in self.record.entries.iter().copied() {
            if log.insert(seq, message).is_some() {
                self.find(Place::Log, Wrong::Doubled(seq), message);
                continue;
            }
            if seq < last_seq {
                self.find(Place::Log, Wrong::OutOfOrder(seq), message);
            } else if seq > last_seq + 1 {
                self.find(Place::Log, Wrong::Hole(seq), message);
            }
            last_seq = last_seq.max(seq);
            let Some(Message { sender, number }) = message else {
                continue;
            };
            if self.record.sent.get(sender as usize).is_none_or(|sent| number >= *sent) {
                self.find(Place::Log, Wrong::Stranger(seq), message);
            } else if !seen.insert(message) {
                self.find(Place::Log, Wrong::Doubled(seq), message);
            } else if latest.get(&sender).is_some_and(|latest| number < *latest) {
                self.find(Place::Log, Wrong::OutOfOrder(seq), message);
            } else {
                latest.insert(sender, number);
            }
        }
        log
    }

    /// Whatever was acknowledged stands where it was said to.
    fn acknowledgements(&mut self, log: &Log) {
        let anywhere: HashSet<_> = log.values().flatten().copied().collect();
        for acknowledged in &self.record.acknowledged {
            let message = Some(acknowledged.message);
            if log.get(&acknowledged.seq) == Some(&message) {
                continue;
            }
            let wrong = if anywhere.contains(&acknowledged.message) {
                Wrong::Altered(acknowledged.seq)
            } else {
                Wrong::Missing(acknowledged.seq)
            };
            self.find(Place::Log, wrong, message);
        }
    }

    /// A member took in every entry of the log once, in order, as it stands there.
    fn member(&mut self, member: usize, taken: &[Entry], log: &Log) {
        let place = Place::Member(member);
        let mut seen = HashSet::new();
        let mut last_seq = 0;
        for Entry { seq, message } in taken.iter().copied() {
            if !seen.insert(seq) {
                self.find(place, Wrong::Doubled(seq), message);
                continue;
            }
            if seq < last_seq {
                self.find(place, Wrong::OutOfOrder(seq), message);
            }
            last_seq = last_seq.max(seq);
            if log.get(&seq) != Some(&message) {
                self.find(place, Wrong::Altered(seq), message);
            }
        }
        for entry in &self.record.entries {
            if !seen.contains(&entry.seq) {
                self.find(place, Wrong::Missing(entry.seq), entry.message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::evidence::Acknowledged, *};
    use proptest::prelude::*;

    /// A run in which nothing went wrong: senders in any order, each message seen by all.
    fn sound(senders: &[u32], members: u32) -> Evidence {
        let mut record = Record::new(LogId([7; 16]), members as usize);
        // The server's own: who the members are.
        record.entries.push(Entry { seq: 1, message: None });
        for sender in senders {
            let sender = sender % members;
            let sent = &mut record.sent[sender as usize];
            let message = Message { sender, number: *sent };
            *sent += 1;
            let seq = record.entries.len() as u64 + 1;
            record.acknowledged.push(Acknowledged { message, seq });
            record.entries.push(Entry {
                seq,
                message: Some(message),
            });
        }
        record.taken = vec![record.entries.clone(); members as usize];
        Evidence {
            conversations: vec![record],
        }
    }

    fn record(evidence: &mut Evidence) -> &mut Record {
        &mut evidence.conversations[0]
    }

    /// Sends of three members, at least one, and which of them is tampered with.
    fn runs() -> impl Strategy<Value = (Vec<u32>, prop::sample::Index)> {
        (prop::collection::vec(0u32..3, 1..40), any::<prop::sample::Index>())
    }

    proptest! {
        #[test]
        fn a_sound_run_is_found_sound((senders, _) in runs()) {
            prop_assert_eq!(judge(&sound(&senders, 3)), Verdict::default());
        }

        #[test]
        fn a_message_that_left_the_log_is_found((senders, at) in runs()) {
            let mut evidence = sound(&senders, 3);
            let record = record(&mut evidence);
            let lost = 1 + at.index(senders.len());
            record.entries.remove(lost);
            record.taken.iter_mut().for_each(|taken| _ = taken.remove(lost));
            prop_assert!(judge(&evidence).missing > 0);
        }

        #[test]
        fn a_log_that_closed_over_a_loss_is_found((senders, at) in runs()) {
            let mut evidence = sound(&senders, 3);
            let record = record(&mut evidence);
            record.entries.remove(1 + at.index(senders.len()));
            for (entry, seq) in record.entries.iter_mut().zip(1..) {
                entry.seq = seq;
            }
            record.taken = vec![record.entries.clone(); 3];
            prop_assert!(judge(&evidence).missing > 0);
        }

        #[test]
        fn a_delivery_that_never_came_is_found((senders, at) in runs(), member in 0usize..3) {
            let mut evidence = sound(&senders, 3);
            record(&mut evidence).taken[member].remove(1 + at.index(senders.len()));
            let verdict = judge(&evidence);
            prop_assert_eq!((verdict.missing, verdict.findings[0].place), (1, Place::Member(member)));
        }

        #[test]
        fn a_delivery_that_came_twice_is_found((senders, at) in runs(), member in 0usize..3) {
            let mut evidence = sound(&senders, 3);
            let taken = &mut record(&mut evidence).taken[member];
            taken.push(taken[1 + at.index(senders.len())]);
            prop_assert_eq!(judge(&evidence).duplicates, 1);
        }

        #[test]
        fn a_message_that_was_stored_twice_is_found((senders, at) in runs()) {
            let mut evidence = sound(&senders, 3);
            let record = record(&mut evidence);
            let message = record.entries[1 + at.index(senders.len())].message;
            let seq = record.entries.len() as u64 + 1;
            record.entries.push(Entry { seq, message });
            record.taken = vec![record.entries.clone(); 3];
            prop_assert_eq!(judge(&evidence).duplicates, 1);
        }

        #[test]
        fn deliveries_in_the_wrong_order_are_found((senders, at) in runs(), member in 0usize..3) {
            let mut evidence = sound(&senders, 3);
            record(&mut evidence).taken[member].swap(at.index(senders.len()), 1 + at.index(senders.len()));
            prop_assert_eq!(judge(&evidence).out_of_order, 1);
        }

        #[test]
        fn a_senders_messages_in_the_wrong_order_are_found((senders, at) in runs()) {
            prop_assume!(senders.len() > 1);
            let senders = vec![0; senders.len()];
            let mut evidence = sound(&senders, 3);
            let record = record(&mut evidence);
            let first = 1 + at.index(senders.len() - 1);
            let (a, b) = (record.entries[first].message, record.entries[first + 1].message);
            (record.entries[first].message, record.entries[first + 1].message) = (b, a);
            record.acknowledged.clear();
            record.taken = vec![record.entries.clone(); 3];
            prop_assert_eq!(judge(&evidence).out_of_order, 1);
        }

        #[test]
        fn another_message_than_was_acknowledged_is_found((senders, at) in runs()) {
            let mut evidence = sound(&senders, 3);
            record(&mut evidence).acknowledged[at.index(senders.len())].seq += 1;
            prop_assert!(!judge(&evidence).findings.is_empty());
        }

        #[test]
        fn an_entry_that_nobody_sent_is_found((senders, _) in runs()) {
            let mut evidence = sound(&senders, 3);
            let record = record(&mut evidence);
            let seq = record.entries.len() as u64 + 1;
            let message = Some(Message { sender: 0, number: record.sent[0] });
            record.entries.push(Entry { seq, message });
            record.taken = vec![record.entries.clone(); 3];
            let verdict = judge(&evidence);
            prop_assert_eq!(verdict.findings[0].wrong, Wrong::Stranger(seq));
        }
    }

    #[test]
    fn an_append_whose_outcome_is_unknown_may_stand_in_the_log_or_not() {
        let mut stored = sound(&[0, 1], 3);
        record(&mut stored).acknowledged.pop();
        let mut lost = sound(&[0], 3);
        record(&mut lost).sent[1] += 1;
        for evidence in [stored, lost] {
            let verdict = judge(&evidence);
            assert_eq!((verdict.findings.len(), verdict.unacknowledged), (0, 1));
        }
    }

    #[test]
    fn a_finding_says_where_to_look() {
        let finding = Finding {
            log: LogId([7; 16]),
            place: Place::Member(2),
            wrong: Wrong::Missing(9),
            message: Some(Message { sender: 1, number: 4 }),
        };
        let text = finding.to_string();
        for part in ["message 4 of member 1", "missing", "entry 9", "0707", "at member 2"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
}
