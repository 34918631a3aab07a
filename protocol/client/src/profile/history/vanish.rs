//! Messages that disappear: when, and what is left of them, which is nothing.

use super::{Header, RECORDS, SAVED, amended, remove, split};
use crate::{problem::Problem, profile::rows};
use fastchat_e2e::{
    ConversationId, EntryId,
    store::{Reader, Scan, Table, Writer},
};

/// u64 when, in ms since 1970 ‖ u64 arrival → nothing.
const DUE: Table = Table::new("record-due");

/// Rows of one sweep.
const SWEPT_MAX: u32 = 256;

/// When a message disappears, in ms since 1970: so long after it was written, by its sender's clock or the server's,
/// whichever is later. So no one of them makes it go early, and neither keeps it longer than from its arrival here.
#[must_use]
pub(crate) fn deadline(written_ms: u64, stands_ms: u64, arrived_ms: u64, retention_s: u64) -> u64 {
    let from_ms = written_ms.max(stands_ms).min(arrived_ms);
    from_ms.saturating_add(retention_s.saturating_mul(1_000))
}

/// A record that is to disappear was written down.
pub(super) fn noted(tx: &Writer<'_>, arrival: u64, header: &Header) -> Result<(), Problem> {
    match header.vanish_at {
        Some(at_ms) => Ok(tx.put(DUE, &key(at_ms, arrival), &[])?),
        None => Ok(()),
    }
}

/// A record goes.
pub(super) fn forget(tx: &Writer<'_>, arrival: u64, header: &Header) -> Result<(), Problem> {
    if let Some(at_ms) = header.vanish_at {
        tx.delete(DUE, &key(at_ms, arrival))?;
    }
    Ok(())
}

/// When a message that is here disappears; none where it is not here.
pub(crate) fn vanishes(tx: &Reader<'_>, conversation: ConversationId, entry: EntryId) -> Result<Option<Option<u64>>, Problem> {
    Ok(amended::find(tx, conversation, entry, None)?.map(|found| found.header.vanish_at))
}

/// When the next one does, in ms since 1970.
pub(crate) fn next(tx: &Reader<'_>) -> Result<Option<u64>, Problem> {
    let first = Scan {
        limit: 1,
        ..Scan::prefix(&[])
    };
    match tx.list(DUE, first)?.pop() {
        Some((key, _)) => Ok(Some(split_key(&key)?.0)),
        None => Ok(None),
    }
}

/// Deletes what is due, with all that was done about it: some of it, where there is much. True where there is more.
pub(crate) fn sweep(tx: &Writer<'_>, now_ms: u64) -> Result<bool, Problem> {
    let first = Scan {
        limit: SWEPT_MAX,
        ..Scan::prefix(&[])
    };
    let found = tx.list(DUE, first)?;
    for (key, _) in &found {
        let (at_ms, arrival) = split_key(key)?;
        if at_ms > now_ms {
            return Ok(false);
        }
        tx.delete(DUE, key)?;
        let Some(row) = tx.get(RECORDS, &arrival.to_be_bytes())? else {
            continue;
        };
        let (header, _) = split(row.expose())?;
        amended::forget_all(tx, &header)?;
        remove(tx, arrival, &header)?;
        tx.delete(SAVED, &arrival.to_be_bytes())?;
    }
    Ok(!found.is_empty())
}

fn key(at_ms: u64, arrival: u64) -> Vec<u8> {
    [at_ms.to_be_bytes(), arrival.to_be_bytes()].concat()
}

fn split_key(key: &[u8]) -> Result<(u64, u64), Problem> {
    let halves = key
        .split_first_chunk()
        .and_then(|(at, rest)| Some((*at, <[u8; 8]>::try_from(rest).ok()?)));
    let (at, arrival) = halves.ok_or_else(|| rows::damaged(DUE))?;
    Ok((u64::from_be_bytes(at), u64::from_be_bytes(arrival)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_from_the_later_of_two_clocks_and_never_from_after_the_arrival() {
        let cases = [
            ("all agree", (1_000, 1_000, 1_000), 61_000),
            ("it was on its way for long", (1_000, 2_000, 500_000), 62_000),
            ("the sender's clock is behind", (0, 2_000, 2_000), 62_000),
            ("the server pretends that it is old", (2_000, 0, 2_000), 62_000),
            ("one pretends that it is from the future", (u64::MAX, 2_000, 3_000), 63_000),
            ("the other one does", (2_000, u64::MAX, 3_000), 63_000),
        ];
        for (case, (written, stands, arrived), expected) in cases {
            assert_eq!(deadline(written, stands, arrived, 60), expected, "{case}");
        }
        assert_eq!(deadline(1, 1, 1, u64::MAX), u64::MAX);
    }
}
