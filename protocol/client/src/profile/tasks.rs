//! What this device still has to do, and what came of it. Kept, so that a restart goes on.

use super::rows;
use crate::{clock::now_ms, error::Refused, ids::new_entry, problem::Problem};
use fastchat_e2e::{
    AccountId, ConversationId, DeviceId, EntryId,
    store::{Reader, Scan, Table, Writer},
};
use serde::{Deserialize, Serialize};

/// wish (UUIDv7) → [`Wish`].
const WISHES: Table = Table::new("wish");
/// conversation ‖ u64 number → nothing: a Welcome for this device stands there.
const INVITATIONS: Table = Table::new("invitation");
/// entry or wish → when it was settled, in ms since 1970, and [`Outcome`]. Rows of yesterday are deleted.
const OUTCOMES: Table = Table::new("outcome");
/// log → the last number that was looked at, of logs that have no group here.
const CURSORS: Table = Table::new("cursor");
/// → the fleet's store that the cursors belong to.
const FLEET: Table = Table::new("fleet-store");

/// Outcomes that are looked at in one go.
const OUTCOMES_AT_ONCE: u32 = 4_096;
/// How long an outcome is kept.
const OUTCOME_MS: u64 = 24 * 3_600_000;

/// A change that somebody wants. It is made again until it is so, or is refused for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wish {
    pub(crate) conversation: ConversationId,
    pub(crate) what: Wanted,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wanted {
    /// A direct chat with an account.
    Direct(AccountId),
    /// A group with a name and members.
    Group(String, Vec<AccountId>),
    /// These are in.
    Add(Vec<AccountId>),
    /// These are out.
    Remove(Vec<AccountId>),
    /// These are admins.
    Promote(Vec<AccountId>),
    /// These are plain members.
    Demote(Vec<AccountId>),
    /// This account is out.
    Leave,
    /// These own devices are out, for good.
    SendAway(Vec<DeviceId>),
}

/// What came of an entry or a wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// The entry stands in its log.
    Sent {
        conversation: ConversationId,
        seq: u64,
        at_ms: u64,
    },
    /// The wish is fulfilled.
    Done,
    /// It never will be.
    Refused { code: String, message: String },
}

impl Outcome {
    pub(crate) fn refused(problem: &Problem) -> Self {
        Self::Refused {
            code: problem.code().to_owned(),
            message: problem.to_string(),
        }
    }
}

impl From<&Refused> for Outcome {
    fn from(refused: &Refused) -> Self {
        Self::Refused {
            code: refused.code.as_str().to_owned(),
            message: refused.message.clone(),
        }
    }
}

/// Keeps a wish; gives its id.
pub(crate) fn wish(tx: &Writer<'_>, wish: &Wish) -> Result<EntryId, Problem> {
    let id = new_entry();
    rows::put(tx, WISHES, id.as_bytes(), wish)?;
    Ok(id)
}

/// All wishes, oldest first.
pub(crate) fn wishes(tx: &Reader<'_>) -> Result<Vec<(EntryId, Wish)>, Problem> {
    let found = tx.list(WISHES, Scan::prefix(&[]))?;
    found
        .into_iter()
        .map(|(key, row)| {
            let id = EntryId::try_from(&key[..]).map_err(|_| rows::damaged(WISHES))?;
            Ok((id, rows::parse(WISHES, row.expose())?))
        })
        .collect()
}

/// A wish, while it is one.
pub(crate) fn find_wish(tx: &Reader<'_>, id: EntryId) -> Result<Option<Wish>, Problem> {
    rows::get(tx, WISHES, id.as_bytes())
}

/// Whether something was done for a wish that is one no longer: fulfilled by another process, or given up.
pub(crate) fn is_over(tx: &Reader<'_>, wish: Option<EntryId>) -> Result<bool, Problem> {
    wish.map_or(Ok(false), |id| Ok(!tx.has(WISHES, id.as_bytes())?))
}

/// A wish is given up.
pub(crate) fn forget_wish(tx: &Writer<'_>, id: EntryId) -> Result<(), Problem> {
    tx.delete(WISHES, id.as_bytes())?;
    Ok(())
}

/// A wish is over.
pub(crate) fn fulfilled(tx: &Writer<'_>, id: EntryId, outcome: &Outcome) -> Result<(), Problem> {
    if tx.delete(WISHES, id.as_bytes())? {
        settle(tx, id, outcome)?;
    }
    Ok(())
}

/// Keeps what came of something, for whoever waits for it in whichever process.
pub(crate) fn settle(tx: &Writer<'_>, id: EntryId, outcome: &Outcome) -> Result<(), Problem> {
    rows::put(tx, OUTCOMES, id.as_bytes(), &(now_ms(), outcome))
}

/// What came of something, once that is known.
pub(crate) fn outcome(tx: &Reader<'_>, id: EntryId) -> Result<Option<Outcome>, Problem> {
    let row: Option<(u64, Outcome)> = rows::get(tx, OUTCOMES, id.as_bytes())?;
    Ok(row.map(|(_, outcome)| outcome))
}

/// Deletes outcomes that nobody waits for any more: of what was settled long ago, however old it is itself.
pub(crate) fn forget_old_outcomes(tx: &Writer<'_>, now_ms: u64) -> Result<(), Problem> {
    let page = Scan {
        limit: OUTCOMES_AT_ONCE,
        ..Scan::prefix(&[])
    };
    for (key, row) in tx.list(OUTCOMES, page)? {
        let (settled_ms, _): (u64, Outcome) = rows::parse(OUTCOMES, row.expose())?;
        if now_ms.saturating_sub(settled_ms) > OUTCOME_MS {
            tx.delete(OUTCOMES, &key)?;
        }
    }
    Ok(())
}

/// A Welcome for this device stands there.
pub(crate) fn invited(tx: &Writer<'_>, conversation: ConversationId, seq: u64) -> Result<(), Problem> {
    Ok(tx.put(INVITATIONS, &invitation(conversation, seq), &[])?)
}

/// Where Welcomes for this device stand.
pub(crate) fn invitations(tx: &Reader<'_>) -> Result<Vec<(ConversationId, u64)>, Problem> {
    let found = tx.list(INVITATIONS, Scan::prefix(&[]))?;
    found
        .iter()
        .map(|(key, _)| {
            let (conversation, seq) = key.split_first_chunk().ok_or_else(|| rows::damaged(INVITATIONS))?;
            Ok((ConversationId(*conversation), rows::number(INVITATIONS, seq)?))
        })
        .collect()
}

/// An invitation was used, or can't be; says whether it waited until now.
pub(crate) fn answered(tx: &Writer<'_>, conversation: ConversationId, seq: u64) -> Result<bool, Problem> {
    Ok(tx.delete(INVITATIONS, &invitation(conversation, seq))?)
}

fn invitation(conversation: ConversationId, seq: u64) -> Vec<u8> {
    [&conversation.as_bytes()[..], &seq.to_be_bytes()].concat()
}

/// The fleet's store that the cursors belong to.
pub(crate) fn fleet_store(tx: &Reader<'_>) -> Result<Option<String>, Problem> {
    rows::get(tx, FLEET, rows::ONLY)
}

/// Another store: the cursors start over.
pub(crate) fn save_fleet_store(tx: &Writer<'_>, store: &str) -> Result<(), Problem> {
    for (key, _) in tx.list(CURSORS, Scan::prefix(&[]))? {
        tx.delete(CURSORS, &key)?;
    }
    rows::put(tx, FLEET, rows::ONLY, &store)
}

/// A log that has no group here was looked at up to a number.
pub(crate) fn save_cursor(tx: &Writer<'_>, log: ConversationId, seq: u64) -> Result<(), Problem> {
    Ok(tx.put(CURSORS, log.as_bytes(), &seq.to_be_bytes())?)
}

/// Up to where such a log was looked at.
pub(crate) fn cursor(tx: &Reader<'_>, log: ConversationId) -> Result<Option<u64>, Problem> {
    let row = tx.get(CURSORS, log.as_bytes())?;
    row.map(|row| rows::number(CURSORS, row.expose())).transpose()
}

/// Up to where logs that have no group here were looked at.
pub(crate) fn cursors(tx: &Reader<'_>) -> Result<Vec<(ConversationId, u64)>, Problem> {
    let found = tx.list(CURSORS, Scan::prefix(&[]))?;
    found
        .iter()
        .map(|(key, row)| {
            let log = ConversationId::try_from(&key[..]).map_err(|_| rows::damaged(CURSORS))?;
            Ok((log, rows::number(CURSORS, row.expose())?))
        })
        .collect()
}
