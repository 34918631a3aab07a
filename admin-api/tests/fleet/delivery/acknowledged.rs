//! Acknowledged is committed.

use super::{Stand, Store, on_both_stores};
use crate::fleet::{client::new_id, harness::signal};
use fastchat_wire::{EntryId, chat::create::ConversationKind};
use std::collections::HashMap;

on_both_stores! {
    what_was_acknowledged_stands_in_the_log_although_its_server_was_killed_right_after
}

/// Appends that are on their way at once: fewer than fill the sockets' buffers.
const SENT: usize = 400;

async fn what_was_acknowledged_stands_in_the_log_although_its_server_was_killed_right_after(stand: &Stand) {
    let (mut alice, me) = stand.person("s3", "alice").await;
    let log = alice.create(ConversationKind::Group, &[]).await.expect("a group");
    let mut all = Vec::new();
    for (round, (victim, survivor)) in [("s1", "s2"), ("s2", "s3")].into_iter().enumerate() {
        let mut client = stand.resumed(victim, &me.token).await;
        let entries: Vec<EntryId> = (0..SENT).map(|_| new_id()).collect();
        let ids = client.pipeline(log, &entries).await;
        let mut acknowledged: HashMap<EntryId, u64> = HashMap::new();
        let pid = stand
            .fleet
            .line
            .servers
            .iter()
            .find(|server| server.name == victim)
            .expect("a server")
            .pid;
        for (at, id) in ids.iter().enumerate() {
            if at == 60 + 100 * round {
                signal(pid, "KILL");
            }
            // After the kill: what had been answered before is still read.
            let Ok(frame) = client.response(*id).await else { break };
            let appended: fastchat_wire::chat::append::Appended = frame.parse().expect("an answer");
            acknowledged.insert(entries[at], appended.seq);
        }
        assert!(acknowledged.len() >= 60 + 100 * round);

        let mut other = stand.resumed(survivor, &me.token).await;
        let whole = other.whole(log).await.expect("the log is readable");
        let stands: HashMap<EntryId, u64> = whole.iter().map(|(entry, _)| (entry.entry, entry.seq)).collect();
        for (entry, seq) in &acknowledged {
            assert_eq!(stands.get(entry), Some(seq), "acknowledged, and not there");
        }
        // The outcome of the others is unknown: sent again, each is there once.
        let ids = other.pipeline(log, &entries).await;
        for (entry, answer) in entries.iter().zip(other.answers(&ids).await) {
            let answer = answer.expect("appended");
            assert_eq!(answer.duplicate, stands.contains_key(entry));
            assert!(stands.get(entry).is_none_or(|seq| *seq == answer.seq));
        }
        all.extend(entries);
        let whole = other.whole(log).await.expect("the log is readable");
        let seqs: Vec<u64> = whole.iter().map(|(entry, _)| entry.seq).collect();
        assert_eq!(seqs, (1..=1 + all.len() as u64).collect::<Vec<_>>(), "no hole, and nothing twice");
        for (entry, block) in &whole[1..] {
            assert_eq!(entry.entry.to_string().as_bytes(), block, "its own block");
        }
    }
}
