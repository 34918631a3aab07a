//! Claims that no person has accepted, and the conversations in which nothing is sent because of them.

use super::{
    Profile, contacts,
    contacts::{Claim, Pin},
    identity, rows,
};
use crate::{
    problem::Problem,
    session::Ended,
    trust::{self, Distrust, Known, Standing, Why},
};
use fastchat_e2e::{
    AccountId, ConversationId, EntryId, IdentityPublicKey, SafetyNumber, Username,
    groups::Groups,
    store::{Reader, Scan, Table, Writer},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::ControlFlow};

/// conversation ‖ account → [`Row`]: nothing is sent there.
const STOPS: Table = Table::new("trust-stop");
/// account → [`Row`]: what was offered for it, and turned down.
const OFFERED: Table = Table::new("trust-offered");
/// conversation ‖ account → nothing: the server counts it among the members, and was told of for that.
const STRANGERS: Table = Table::new("trust-stranger");

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    why: Why,
    username: String,
    identity: [u8; 32],
}

impl Row {
    fn of(claim: &Claim) -> Self {
        Self {
            why: claim.why,
            username: claim.username.as_str().to_owned(),
            identity: *claim.identity.as_bytes(),
        }
    }

    fn read(table: Table, row: &[u8]) -> Result<Claim, Problem> {
        let row: Self = rows::parse(table, row)?;
        Ok(Claim {
            why: row.why,
            username: row.username.parse().map_err(|_| rows::damaged(table))?,
            identity: IdentityPublicKey(row.identity),
        })
    }
}

fn stop_key(conversation: ConversationId, account: AccountId) -> Vec<u8> {
    [&conversation.as_bytes()[..], account.as_bytes()].concat()
}

fn distrust(conversation: Option<ConversationId>, account: AccountId, claim: Claim) -> Distrust {
    Distrust {
        conversation,
        account,
        username: claim.username,
        why: claim.why,
    }
}

/// Claims that stop conversations: of one, or of all.
fn stopping(tx: &Reader<'_>, conversation: Option<ConversationId>) -> Result<Vec<(ConversationId, AccountId, Claim)>, Problem> {
    let prefix = conversation.as_ref().map_or(&[][..], |conversation| conversation.as_bytes());
    let found = tx.list(STOPS, Scan::prefix(prefix))?;
    found
        .iter()
        .map(|(key, row)| {
            let damaged = |_| rows::damaged(STOPS);
            let (conversation, account) = key.split_at_checked(16).ok_or_else(|| rows::damaged(STOPS))?;
            let conversation = ConversationId::try_from(conversation).map_err(damaged)?;
            let account = AccountId::try_from(account).map_err(damaged)?;
            Ok((conversation, account, Row::read(STOPS, row.expose())?))
        })
        .collect()
}

/// Why nothing is sent in a conversation; empty where all is well.
pub(crate) fn stops(tx: &Reader<'_>, conversation: ConversationId) -> Result<Vec<Distrust>, Problem> {
    let found = stopping(tx, Some(conversation))?;
    let each = found
        .into_iter()
        .map(|(conversation, account, claim)| distrust(Some(conversation), account, claim));
    Ok(each.collect())
}

/// Refuses to send in a conversation that is stopped.
pub(crate) fn check(tx: &Reader<'_>, conversation: ConversationId) -> Result<(), Problem> {
    match stops(tx, conversation)?.into_iter().next() {
        Some(distrust) => Err(distrust.into()),
        None => Ok(()),
    }
}

/// Refuses where a message that waits to be sent can't be, because its conversation is stopped.
pub(crate) fn check_waiting(groups: &Groups, tx: &Reader<'_>, entry: EntryId) -> Result<(), Problem> {
    if tx
        .list(
            STOPS,
            Scan {
                limit: 1,
                ..Scan::prefix(&[])
            },
        )?
        .is_empty()
    {
        return Ok(());
    }
    let mut conversation = None;
    groups.each_pending(tx, |waiting| match waiting.entry == entry {
        true => {
            // One that stands in its log already only waits to be read there.
            conversation = waiting.acknowledged.is_none().then_some(waiting.conversation);
            ControlFlow::Break(())
        }
        false => ControlFlow::Continue(()),
    })?;
    conversation.map_or(Ok(()), |conversation| check(tx, conversation))
}

/// Keeps what is claimed in a conversation now, in place of what was; gives what is new of it.
pub(crate) fn settle(tx: &Writer<'_>, conversation: ConversationId, claims: BTreeMap<AccountId, Claim>) -> Result<Vec<Distrust>, Problem> {
    for (_, account, _) in stopping(tx, Some(conversation))? {
        if !claims.contains_key(&account) {
            tx.delete(STOPS, &stop_key(conversation, account))?;
        }
    }
    let mut new = Vec::new();
    for (account, claim) in claims {
        new.extend(stop(tx, conversation, account, claim)?);
    }
    Ok(new)
}

/// Stops a conversation; gives what is new about that.
pub(crate) fn stop(tx: &Writer<'_>, conversation: ConversationId, account: AccountId, claim: Claim) -> Result<Option<Distrust>, Problem> {
    let is_new = keep(tx, STOPS, &stop_key(conversation, account), &claim)?;
    Ok(is_new.then(|| distrust(Some(conversation), account, claim)))
}

/// Keeps what was offered for an account and turned down, so that a person may accept it; gives whether that is new.
pub(crate) fn offer(tx: &Writer<'_>, account: AccountId, claim: &Claim) -> Result<bool, Problem> {
    keep(tx, OFFERED, account.as_bytes(), claim)
}

/// Keeps that the server counts somebody among the members whom the group does not know; gives whether that is new.
pub(crate) fn is_new_stranger(tx: &Writer<'_>, conversation: ConversationId, account: AccountId) -> Result<bool, Problem> {
    let key = stop_key(conversation, account);
    let is_new = !tx.has(STRANGERS, &key)?;
    tx.put(STRANGERS, &key, &[])?;
    Ok(is_new)
}

/// What is said to whoever wanted something of an account that is not who this device knows.
pub(crate) fn turned_down(account: AccountId, claim: Claim) -> Problem {
    distrust(None, account, claim).into()
}

fn keep(tx: &Writer<'_>, table: Table, key: &[u8], claim: &Claim) -> Result<bool, Problem> {
    let row = Row::of(claim);
    if rows::get::<Row>(tx, table, key)?.is_some_and(|known| known == row) {
        return Ok(false);
    }
    rows::put(tx, table, key, &row)?;
    Ok(true)
}

/// Forgets what was claimed in a conversation that is over.
pub(crate) fn clear(tx: &Writer<'_>, conversation: ConversationId) -> Result<(), Problem> {
    for (key, _) in tx.list(STRANGERS, Scan::prefix(conversation.as_bytes()))? {
        tx.delete(STRANGERS, &key)?;
    }
    settle(tx, conversation, BTreeMap::new()).map(drop)
}

/// What is claimed under a name, or of whom this device knows by it; each once, those that stop a conversation first.
fn claims(tx: &Reader<'_>, name: &Username) -> Result<Vec<(AccountId, Claim, bool)>, Problem> {
    let known = contacts::account(tx, name)?;
    let mut all: Vec<(AccountId, Claim, bool)> = stopping(tx, None)?
        .into_iter()
        .map(|(_, account, claim)| (account, claim, true))
        .collect();
    for (key, row) in tx.list(OFFERED, Scan::prefix(&[]))? {
        let account = AccountId::try_from(&key[..]).map_err(|_| rows::damaged(OFFERED))?;
        all.push((account, Row::read(OFFERED, row.expose())?, false));
    }
    let mut found: Vec<(AccountId, Claim, bool)> = Vec::new();
    for (account, claim, stops) in all {
        let is_same = |(other, known, _): &(AccountId, Claim, bool)| *other == account && known.identity == claim.identity;
        if (claim.username == *name || Some(account) == known) && !found.iter().any(is_same) {
            found.push((account, claim, stops));
        }
    }
    Ok(found)
}

/// The own side of every safety number.
struct Own {
    identity: IdentityPublicKey,
    username: Username,
}

impl Own {
    fn read(tx: &Reader<'_>) -> Result<Self, Problem> {
        let credential = identity::credential(tx)?.ok_or(Problem::Ended(Ended::NoToken))?;
        let subject = credential.subject();
        Ok(Self {
            identity: subject.identity_key,
            username: subject.username.clone(),
        })
    }

    fn with(&self, identity: &IdentityPublicKey, username: &Username) -> SafetyNumber {
        SafetyNumber::of((&self.identity, &self.username), (identity, username))
    }
}

impl Profile {
    /// What a name stands for on this device: whom it is known for, and what is claimed under it. Asks nobody.
    ///
    /// # Errors
    /// `not-signed-in`; [`Problem::Store`].
    pub fn standing(&self, name: &Username) -> Result<Standing, Problem> {
        self.read(|tx| {
            let own = Own::read(tx)?;
            let known = known(tx, name)?.map(|(account, pin)| Known {
                account,
                number: own.with(&pin.identity, &pin.username),
                verified: pin.verified,
            });
            let claims = claims(tx, name)?
                .into_iter()
                .map(|(account, claim, stops)| trust::Claim {
                    account,
                    number: own.with(&claim.identity, &claim.username),
                    username: claim.username,
                    why: claim.why,
                    stops,
                })
                .collect();
            Ok(Standing { known, claims })
        })
    }

    /// Marks somebody as verified: both sides have seen this number.
    ///
    /// # Errors
    /// `not-found` where nobody is known by that name; `number-differs` where the number is not theirs.
    pub fn verify(&self, name: &Username, number: &SafetyNumber) -> Result<(), Problem> {
        self.write(|tx| {
            let own = Own::read(tx)?;
            let (account, pin) = known(tx, name)?.ok_or_else(|| unknown(name))?;
            if own.with(&pin.identity, &pin.username) != *number {
                return Err(differs(name));
            }
            contacts::save_verified(tx, account)
        })?;
        self.changed();
        Ok(())
    }

    /// Accepts what is claimed under a name: the claim with this number. What it stopped goes on; `verified` says
    /// whether both sides have seen the number.
    ///
    /// # Errors
    /// `not-found` where nothing is claimed; `number-differs` where nothing is claimed with that number.
    pub fn accept(&self, name: &Username, number: &SafetyNumber, verified: bool) -> Result<(), Problem> {
        self.write(|tx| {
            let own = Own::read(tx)?;
            let claims = claims(tx, name)?;
            if claims.is_empty() {
                return Err(unknown(name));
            }
            let mut claims = claims.into_iter();
            let (account, claim, _) = claims
                .find(|(_, claim, _)| own.with(&claim.identity, &claim.username) == *number)
                .ok_or_else(|| differs(name))?;
            contacts::accept(tx, account, &claim, verified)?;
            tx.delete(OFFERED, account.as_bytes())?;
            for (conversation, who, other) in stopping(tx, None)? {
                if who == account && other.identity == claim.identity {
                    tx.delete(STOPS, &stop_key(conversation, who))?;
                }
            }
            Ok(())
        })?;
        self.changed();
        Ok(())
    }
}

/// Whether a person has compared an account's safety number.
pub(crate) fn is_verified(tx: &Reader<'_>, account: AccountId) -> Result<bool, Problem> {
    Ok(contacts::pin(tx, account)?.is_some_and(|pin| pin.verified))
}

fn known(tx: &Reader<'_>, name: &Username) -> Result<Option<(AccountId, Pin)>, Problem> {
    let Some(account) = contacts::account(tx, name)? else {
        return Ok(None);
    };
    Ok(contacts::pin(tx, account)?.map(|pin| (account, pin)))
}

fn unknown(name: &Username) -> Problem {
    Problem::declined("not-found", format!("this device knows nobody as @{name}: check the name"))
}

/// The digits of the other side are other ones.
fn differs(name: &Username) -> Problem {
    Problem::declined(
        "number-differs",
        format!(
            "these are not the digits that you and @{name} share: somebody may stand between you. Compare all sixty again, and \
             where they still differ, write nothing to @{name} here that is for them alone"
        ),
    )
}
