//! How far others have a conversation, by the server's word: delivered to a device of theirs, read by them.

use super::rows;
use crate::{problem::Problem, record::Mark};
use fastchat_e2e::{
    AccountId, ConversationId,
    store::{Reader, Scan, Table, Writer},
};

/// conversation ‖ account → u64 delivered ‖ u64 read.
const MARKS: Table = Table::new("mark");

/// Keeps what was told of a member. It never moves back; what was read was delivered.
pub(crate) fn save(tx: &Writer<'_>, conversation: ConversationId, account: AccountId, told: Mark) -> Result<(), Problem> {
    let key = [&conversation.as_bytes()[..], account.as_bytes()].concat();
    let known = tx.get(MARKS, &key)?.map(|row| parse(row.expose())).transpose()?.unwrap_or_default();
    let read = known.read.max(told.read);
    let delivered = known.delivered.max(told.delivered).max(read);
    if (Mark { delivered, read }) != known {
        tx.put(MARKS, &key, &[delivered.to_be_bytes(), read.to_be_bytes()].concat())?;
    }
    Ok(())
}

/// What was told of a conversation's members, those who are in it no longer included.
pub(crate) fn all(tx: &Reader<'_>, conversation: ConversationId) -> Result<Vec<(AccountId, Mark)>, Problem> {
    let found = tx.list(MARKS, Scan::prefix(conversation.as_bytes()))?;
    let mark = |(key, row): &(Vec<u8>, fastchat_e2e::secret::SecretBytes)| {
        let account = key
            .last_chunk()
            .map(|account| AccountId(*account))
            .ok_or_else(|| rows::damaged(MARKS))?;
        Ok((account, parse(row.expose())?))
    };
    found.iter().map(mark).collect()
}

fn parse(row: &[u8]) -> Result<Mark, Problem> {
    let (delivered, read) = row.split_at_checked(8).ok_or_else(|| rows::damaged(MARKS))?;
    Ok(Mark {
        delivered: rows::number(MARKS, delivered)?,
        read: rows::number(MARKS, read)?,
    })
}
