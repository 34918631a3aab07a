//! The batches that were read: each device's are a chain, and what is not in its place in it is not taken.

use super::index::{self, Indexed};
use crate::{
    problem::Problem,
    profile::rows,
    receipt::{Missing, Receipt},
};
use fastchat_e2e::{
    DeviceId,
    archive::{FIRST_PREV, Placed},
    store::{Reader, Scan, Table, Writer},
};
use fastchat_wire::encoding::Bytes64;
use serde::{Deserialize, Serialize};

/// device ‖ u64 n → [`Seen`].
const BATCHES: Table = Table::new("restored-batch");
/// Rows that are in memory at a time.
const PAGE: u32 = 256;

/// A batch that was taken.
#[derive(Serialize, Deserialize)]
struct Seen {
    /// Its number in the archive.
    seq: u64,
    hash: Bytes64,
    prev: Bytes64,
    generation: u32,
    /// Messages in it.
    records: u64,
    /// Messages in it and in all of the device's before.
    messages: u64,
    /// Where an earlier one stands, by its device.
    #[serde(default)]
    placed: Option<Placed>,
}

/// Another restore begins.
pub(super) fn forget(tx: &Writer<'_>) -> Result<(), Problem> {
    index::empty(tx, BATCHES)
}

/// Notes a batch, or says why it is not to be taken.
pub(super) fn note(tx: &Writer<'_>, seq: u64, indexed: &Indexed) -> Result<Result<(), String>, Problem> {
    let (device, n) = (indexed.device, indexed.n);
    if let Some(known) = rows::get::<Seen>(tx, BATCHES, &key(device, n))? {
        return Ok(Err(match known.hash == indexed.hash {
            true => format!("it repeats entry {}", known.seq),
            false => format!("it and entry {} are both batch {n} of device {device}", known.seq),
        }));
    }
    let reordered = |other: &Seen| {
        format!(
            "it is batch {n} of device {device}, and out of order with that device's entry {}",
            other.seq
        )
    };
    let older_key = format!("it is sealed to an older backup key than earlier batches of device {device}");
    if let Some(later) = neighbour(
        tx,
        device,
        Scan {
            after: Some(&key(device, n)),
            limit: 1,
            ..Scan::prefix(device.as_bytes())
        },
    )? {
        if later.seq < seq {
            return Ok(Err(reordered(&later)));
        }
        if later.generation < indexed.generation {
            return Ok(Err(older_key));
        }
    }
    if let Some(earlier) = neighbour(
        tx,
        device,
        Scan {
            after: Some(&key(device, n)),
            ..Scan::newest(device.as_bytes(), 1)
        },
    )? {
        if earlier.seq > seq {
            return Ok(Err(reordered(&earlier)));
        }
        if earlier.generation > indexed.generation {
            return Ok(Err(older_key));
        }
    }
    let seen = Seen {
        seq,
        hash: indexed.hash.clone(),
        prev: indexed.prev.clone(),
        generation: indexed.generation,
        records: indexed.records,
        messages: indexed.messages,
        placed: indexed.placed,
    };
    rows::put(tx, BATCHES, &key(device, n), &seen)?;
    Ok(Ok(()))
}

/// One that counted was not to be had any more.
pub(super) fn lost(tx: &Writer<'_>, device: DeviceId, n: u64) -> Result<(), Problem> {
    tx.delete(BATCHES, &key(device, n))?;
    Ok(())
}

fn neighbour(tx: &Reader<'_>, device: DeviceId, scan: Scan<'_>) -> Result<Option<Seen>, Problem> {
    let found = tx.list(BATCHES, scan)?.pop();
    let found = found.filter(|(key, _)| key.starts_with(device.as_bytes()));
    found.map(|(_, row)| rows::parse(BATCHES, row.expose())).transpose()
}

fn key(device: DeviceId, n: u64) -> Vec<u8> {
    [&device.as_bytes()[..], &n.to_be_bytes()].concat()
}

/// Goes along each device's chain: what is missing in it, and what stands elsewhere than its device was told. Gives the
/// number of messages that are missing.
pub(super) fn look_for_holes(tx: &Reader<'_>, receipt: &mut Receipt) -> Result<u64, Problem> {
    let mut last: Option<(DeviceId, u64, Seen)> = None;
    let (mut after, mut total) = (None::<Vec<u8>>, 0);
    loop {
        let scan = Scan {
            after: after.as_deref(),
            limit: PAGE,
            ..Scan::prefix(&[])
        };
        let page = tx.list(BATCHES, scan)?;
        let Some((last_key, _)) = page.last() else {
            return Ok(total);
        };
        after = Some(last_key.clone());
        for (key, row) in page {
            let (device, n) = key.split_first_chunk().ok_or_else(|| rows::damaged(BATCHES))?;
            let (device, n) = (DeviceId(*device), rows::number(BATCHES, n)?);
            let seen: Seen = rows::parse(BATCHES, row.expose())?;
            let before = last.take().filter(|(other, ..)| *other == device);
            let (before_n, before_hash, before_messages) = match &before {
                Some((_, n, seen)) => (*n, seen.hash.0.as_slice(), seen.messages),
                None => (0, &FIRST_PREV[..], 0),
            };
            let lacking = seen.messages.saturating_sub(seen.records).saturating_sub(before_messages);
            if n > before_n + 1 {
                total += lacking;
                receipt.miss(Missing {
                    device,
                    first: before_n + 1,
                    last: n - 1,
                    messages: lacking,
                });
            } else if seen.prev.0 != before_hash || lacking > 0 {
                receipt.refuse(
                    seen.seq,
                    format!(
                        "it does not follow the batch before it of device {device}: one of the two is not what that device wrote there"
                    ),
                );
            }
            if let Some(placed) = seen.placed
                && let Some(earlier) = rows::get::<Seen>(tx, BATCHES, &self::key(device, placed.n))?
                && earlier.seq != placed.seq
            {
                receipt.moves(earlier.seq, placed.seq);
            }
            last = Some((device, n, seen));
        }
    }
}
