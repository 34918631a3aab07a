//! Whom this device has met: names and pinned identities.
//!
//! The identity that an account had when this device first met it is its pin.
//! Another one later is not taken over: it is told, and nothing is sealed for it.
//!
//! A credential says its owner's name, and nobody but its owner has signed that. So whom this device meets in a group
//! first is compared with what the fleet says of that account before the name leads to them, or as soon as it can be.

use super::{archive, rows};
use crate::{problem::Problem, record::Person};
use fastchat_e2e::{
    AccountId, ConversationId, IdentityPublicKey, Username,
    archive::Pin,
    store::{Reader, Scan, Table, Writer},
};
use serde::{Deserialize, Serialize};

/// account → [`Contact`].
const CONTACTS: Table = Table::new("contact");
/// username → account, by the fleet's word.
const BY_NAME: Table = Table::new("contact-name");
/// account → the conversation in which it was met first: to be compared with the fleet's word.
const UNCHECKED: Table = Table::new("contact-unchecked");

/// Compared at once.
const UNCHECKED_MAX: u32 = 64;

#[derive(Serialize, Deserialize)]
struct Contact {
    username: String,
    identity: [u8; 32],
    /// The fleet knows this account otherwise: the name is not shown.
    #[serde(default)]
    doubted: bool,
}

/// What meeting somebody again has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    /// The pin, now or from before.
    Same,
    /// The account has another identity or another name than before, or the name another account.
    Changed,
}

/// Compares what the fleet says with the pin; the first time it becomes the pin. The name leads to this account then.
pub(crate) fn meet(tx: &Writer<'_>, account: AccountId, username: &Username, identity: &IdentityPublicKey) -> Result<Met, Problem> {
    let met = pin_first(tx, account, username, identity)?;
    if met == Met::Same {
        tx.put(BY_NAME, username.as_str().as_bytes(), account.as_bytes())?;
        tx.delete(UNCHECKED, account.as_bytes())?;
    }
    Ok(met)
}

/// Compares a leaf of a group with the pin; the first time it becomes the pin, and is to be compared with the fleet's word.
pub(crate) fn see(
    tx: &Writer<'_>,
    conversation: ConversationId,
    account: AccountId,
    username: &Username,
    identity: &IdentityPublicKey,
) -> Result<Met, Problem> {
    let is_first = !tx.has(CONTACTS, account.as_bytes())?;
    let met = pin_first(tx, account, username, identity)?;
    if is_first && met == Met::Same {
        tx.put(UNCHECKED, account.as_bytes(), conversation.as_bytes())?;
    }
    Ok(met)
}

fn pin_first(tx: &Writer<'_>, account: AccountId, username: &Username, identity: &IdentityPublicKey) -> Result<Met, Problem> {
    let owner = tx.get(BY_NAME, username.as_str().as_bytes())?;
    if owner.is_some_and(|owner| owner.expose() != account.as_bytes()) {
        return Ok(Met::Changed);
    }
    if let Some(pin) = rows::get::<Contact>(tx, CONTACTS, account.as_bytes())? {
        let same = pin.identity == *identity.as_bytes() && pin.username == username.as_str();
        return Ok(if same { Met::Same } else { Met::Changed });
    }
    let contact = Contact {
        username: username.as_str().to_owned(),
        identity: *identity.as_bytes(),
        doubted: false,
    };
    rows::put(tx, CONTACTS, account.as_bytes(), &contact)?;
    archive::pin_is_due(tx, account)?;
    Ok(Met::Same)
}

/// Accounts that are still to be compared with the fleet's word, and where they were met: some of them.
pub(crate) fn unchecked(tx: &Reader<'_>) -> Result<Vec<(AccountId, ConversationId)>, Problem> {
    let some = Scan {
        limit: UNCHECKED_MAX,
        ..Scan::prefix(&[])
    };
    let found = tx.list(UNCHECKED, some)?;
    found
        .iter()
        .map(|(key, row)| {
            let damaged = |_| rows::damaged(UNCHECKED);
            let account = AccountId::try_from(&key[..]).map_err(damaged)?;
            Ok((account, ConversationId::try_from(row.expose()).map_err(damaged)?))
        })
        .collect()
}

/// The fleet knows this account otherwise, or not at all. Gives the name that it had claimed; none where that was settled before.
pub(crate) fn doubt(tx: &Writer<'_>, account: AccountId) -> Result<Option<String>, Problem> {
    if !tx.delete(UNCHECKED, account.as_bytes())? {
        return Ok(None);
    }
    let Some(mut contact) = rows::get::<Contact>(tx, CONTACTS, account.as_bytes())? else {
        return Ok(None);
    };
    contact.doubted = true;
    rows::put(tx, CONTACTS, account.as_bytes(), &contact)?;
    Ok(Some(contact.username))
}

/// Somebody, with the name under which this device has met them.
pub(crate) fn person(tx: &Reader<'_>, account: AccountId) -> Result<Person, Problem> {
    let contact: Option<Contact> = rows::get(tx, CONTACTS, account.as_bytes())?;
    let believed = contact.filter(|contact| !contact.doubted);
    let username = believed.and_then(|contact| contact.username.parse().ok());
    Ok(Person { account, username })
}

/// The account that this device has met under a name.
pub(crate) fn account(tx: &Reader<'_>, username: &Username) -> Result<Option<AccountId>, Problem> {
    let row = tx.get(BY_NAME, username.as_str().as_bytes())?;
    Ok(row.and_then(|row| AccountId::try_from(row.expose()).ok()))
}

/// The identity that an account was met with.
pub(crate) fn pin(tx: &Reader<'_>, account: AccountId) -> Result<Option<IdentityPublicKey>, Problem> {
    let contact: Option<Contact> = rows::get(tx, CONTACTS, account.as_bytes())?;
    Ok(contact.map(|contact| IdentityPublicKey(contact.identity)))
}

/// Everybody who was met.
pub(crate) fn all(tx: &Reader<'_>) -> Result<Vec<AccountId>, Problem> {
    let found = tx.list(CONTACTS, Scan::prefix(&[]))?;
    found
        .iter()
        .map(|(key, _)| AccountId::try_from(&key[..]).map_err(|_| rows::damaged(CONTACTS)))
        .collect()
}

/// A pin, as the account's archive has it. A name that is doubted is left to be looked up anew.
pub(crate) fn archived(tx: &Reader<'_>, account: AccountId) -> Result<Option<Pin>, Problem> {
    let contact: Option<Contact> = rows::get(tx, CONTACTS, account.as_bytes())?;
    Ok(contact.filter(|contact| !contact.doubted).map(|contact| Pin {
        account,
        username: contact.username,
        identity: contact.identity,
    }))
}

/// Takes over a pin from the account's archive, where this device has none of its own. One that differs is not.
pub(crate) fn restore(tx: &Writer<'_>, pin: &Pin) -> Result<Met, Problem> {
    let Ok(username) = pin.username.parse::<Username>() else {
        return Ok(Met::Changed);
    };
    let is_first = !tx.has(CONTACTS, pin.account.as_bytes())?;
    let met = pin_first(tx, pin.account, &username, &IdentityPublicKey(pin.identity))?;
    if is_first && met == Met::Same {
        tx.put(BY_NAME, username.as_str().as_bytes(), pin.account.as_bytes())?;
        archive::pin_is_archived(tx, pin.account)?;
    }
    Ok(met)
}
