//! The head of a log as it moves, and its comparison with what others have seen.

use super::{
    error::Error,
    rows::{HEADS, UNCHAINED, numbered},
};
use crate::{
    head::LogHead,
    id::{ConversationId, EntryId},
    log::{HEADS_KEPT, HeadCheck, LogEntry, Position},
    store::{Reader, Scan, Writer},
};

/// Moves the cursor over the next entry.
pub(super) fn advance(tx: &Writer<'_>, conversation: ConversationId, position: &mut Position, entry: &LogEntry<'_>) -> Result<(), Error> {
    let hash = entry.block.sha256();
    if let Some(head) = position.log_head() {
        let next = head.next_hashed(entry.entry, entry.kind, &hash)?;
        keep(tx, conversation, next)?;
        (position.seq, position.head) = (next.seq, Some(next.hash));
    } else {
        let row = [&entry.entry.0[..], &hash, entry.kind.as_bytes()].concat();
        tx.put(UNCHAINED, &numbered(conversation, entry.seq), &row)?;
        position.seq = entry.seq;
    }
    Ok(())
}

/// Compares what a message of number `seq` says about the log.
pub(super) fn compare(
    tx: &Reader<'_>,
    conversation: ConversationId,
    position: &Position,
    seq: u64,
    authenticated_data: &[u8],
) -> Result<(HeadCheck, Option<LogHead>), Error> {
    if authenticated_data.is_empty() {
        return Ok((HeadCheck::Absent, None));
    }
    let Ok(claim) = LogHead::from_authenticated_data(authenticated_data) else {
        return Ok((HeadCheck::Absent, None));
    };
    let check = match known(tx, conversation, claim.seq)? {
        // Nobody has processed an entry that comes after its own.
        _ if claim.seq >= seq => HeadCheck::Forked,
        Some(hash) if hash == claim.hash => HeadCheck::Agrees(claim.seq),
        Some(_) if position.head.is_some() => HeadCheck::Forked,
        _ => HeadCheck::Unchecked,
    };
    Ok((check, Some(claim)))
}

/// Takes over the first head, named by the device that added this one, and chains on what was read since.
pub(super) fn adopt(tx: &Writer<'_>, conversation: ConversationId, position: &mut Position, claim: LogHead) -> Result<(), Error> {
    let mut head = claim;
    for (key, row) in tx.list(UNCHAINED, Scan::prefix(conversation.as_bytes()))? {
        if key[..] > numbered(conversation, claim.seq)[..] {
            let (entry, rest) = row.expose().split_first_chunk().ok_or(Error::Damaged(conversation))?;
            let (hash, kind) = rest.split_first_chunk().ok_or(Error::Damaged(conversation))?;
            let kind = std::str::from_utf8(kind).map_err(|_| Error::Damaged(conversation))?;
            head = head.next_hashed(EntryId(*entry), kind, hash)?;
            keep(tx, conversation, head)?;
        }
        tx.delete(UNCHAINED, &key)?;
    }
    keep(tx, conversation, claim)?;
    if head.seq != position.seq {
        return Err(Error::Damaged(conversation));
    }
    position.head = Some(head.hash);
    position.joining = None;
    Ok(())
}

/// Whether an entry that comes again is the one that was read then; none where that is no longer known.
pub(super) fn same_as_before(tx: &Reader<'_>, conversation: ConversationId, entry: &LogEntry<'_>) -> Result<Option<bool>, Error> {
    let hash = entry.block.sha256();
    if let Some(row) = tx.get(UNCHAINED, &numbered(conversation, entry.seq))? {
        return Ok(Some(row.expose() == [&entry.entry.0[..], &hash, entry.kind.as_bytes()].concat()));
    }
    let Some(seq) = entry.seq.checked_sub(1) else {
        return Ok(Some(false));
    };
    let (Some(before), Some(after)) = (known(tx, conversation, seq)?, known(tx, conversation, entry.seq)?) else {
        return Ok(None);
    };
    let next = LogHead { seq, hash: before }.next_hashed(entry.entry, entry.kind, &hash)?;
    Ok(Some(next.hash == after))
}

/// The head at a number, where it is kept.
pub(super) fn known(tx: &Reader<'_>, conversation: ConversationId, seq: u64) -> Result<Option<[u8; 32]>, Error> {
    if seq == 0 {
        return Ok(Some(LogHead::start(conversation).hash));
    }
    match tx.get(HEADS, &numbered(conversation, seq))? {
        Some(row) => row.expose().try_into().map(Some).map_err(|_| Error::Damaged(conversation)),
        None => Ok(None),
    }
}

fn keep(tx: &Writer<'_>, conversation: ConversationId, head: LogHead) -> Result<(), Error> {
    tx.put(HEADS, &numbered(conversation, head.seq), &head.hash)?;
    if let Some(old) = head.seq.checked_sub(HEADS_KEPT) {
        tx.delete(HEADS, &numbered(conversation, old))?;
    }
    Ok(())
}
