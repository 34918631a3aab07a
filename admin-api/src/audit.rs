//! The audit log: every change by an operator and every denial, in a chain of hashes.
//!
//! `hash(n) = SHA-256(hash(n−1) ‖ n as u64 big-endian ‖ record as stored)`, and
//! `hash(0)` is 32 zero bytes: whoever changes, drops or inserts a row must
//! change every hash after it. Pure; the store appends.

use crate::clock;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Hash of a row.
pub(crate) type Hash = [u8; 32];
/// What the first row continues.
pub(crate) const GENESIS: Hash = [0; 32];
/// Longest text that a request can put into a record (bytes).
const TEXT_BYTES_MAX: usize = 256;

/// What happened, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// When.
    #[serde(with = "clock::rfc3339")]
    pub(crate) at: u64,
    /// Whose token it was.
    pub(crate) who: String,
    /// That token's role.
    pub(crate) role: String,
    /// Address of the client.
    pub(crate) from: String,
    /// HTTP method.
    pub(crate) method: String,
    /// Path, without the query.
    pub(crate) path: String,
    /// Id of the request.
    pub(crate) request_id: String,
    /// What came of it.
    pub(crate) result: Outcome,
    /// The status that it was answered with.
    pub(crate) status: u16,
    /// The operator's own words (`X-Change-Reason`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// What changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<Value>,
    /// How many alike were folded into this one; 1 for one.
    pub(crate) count: u64,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It was done.
    Changed,
    /// It was refused for want of a token or a role.
    Denied,
}

impl Record {
    /// Whether another denial is the same but for time and request.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let key = |record: &Self| {
            (
                record.who.clone(),
                record.from.clone(),
                record.method.clone(),
                record.path.clone(),
                record.status,
            )
        };
        self.result == other.result && key(self) == key(other)
    }
}

/// A text of the request, as far as a record keeps it.
pub(crate) fn clip(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// A row as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// From 1, without holes.
    pub(crate) seq: u64,
    /// The record's JSON, to the byte.
    pub(crate) record: String,
    /// Its place in the chain.
    pub(crate) hash: Hash,
}

/// The hash of the row that follows.
pub(crate) fn next_hash(previous: &Hash, seq: u64, record: &str) -> Hash {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(seq.to_be_bytes());
    hash.update(record.as_bytes());
    hash.finalize().into()
}

/// The first row that does not continue the chain, from the row before (`GENESIS` for none).
pub(crate) fn broken_at(previous: &Hash, after: u64, rows: &[Row]) -> Option<u64> {
    let mut previous = *previous;
    for (seq, row) in (after + 1..).zip(rows) {
        if row.seq != seq || row.hash != next_hash(&previous, seq, &row.record) {
            return Some(row.seq);
        }
        previous = row.hash;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(records: &[&str]) -> Vec<Row> {
        let mut previous = GENESIS;
        let row = |(seq, record): (u64, &&str)| {
            previous = next_hash(&previous, seq, record);
            Row {
                seq,
                record: (*record).to_owned(),
                hash: previous,
            }
        };
        (1..).zip(records).map(row).collect()
    }

    #[test]
    fn an_untouched_chain_is_whole_from_any_row_on() {
        let rows = chain(&["a", "b", "c"]);
        assert_eq!(broken_at(&GENESIS, 0, &rows), None);
        assert_eq!(broken_at(&rows[0].hash, 1, &rows[1..]), None);
    }

    #[test]
    fn a_changed_a_dropped_and_an_inserted_row_break_it() {
        let whole = chain(&["a", "b", "c"]);
        let mut changed = whole.clone();
        changed[1].record = "x".into();
        assert_eq!(broken_at(&GENESIS, 0, &changed), Some(2));
        let mut dropped = whole.clone();
        dropped.remove(1);
        assert_eq!(broken_at(&GENESIS, 0, &dropped), Some(3));
        let mut inserted = whole.clone();
        inserted.insert(1, whole[0].clone());
        assert_eq!(broken_at(&GENESIS, 0, &inserted), Some(1));
    }

    #[test]
    fn texts_of_requests_are_clipped_between_characters() {
        assert_eq!(clip("short"), "short");
        let long = format!("{}é", "x".repeat(TEXT_BYTES_MAX - 1));
        assert_eq!(clip(&long), "x".repeat(TEXT_BYTES_MAX - 1));
    }
}
