//! Whom this device has met: names and pinned identities.
//!
//! The identity that an account had when this device first met it is its pin.
//! Another one later is not taken over: it is told, and nothing is sealed for it.

use super::rows;
use crate::{problem::Problem, record::Person};
use fastchat_e2e::{
    AccountId, IdentityPublicKey, Username,
    store::{Reader, Table, Writer},
};
use serde::{Deserialize, Serialize};

/// account → [`Contact`].
const CONTACTS: Table = Table::new("contact");
/// username → account.
const BY_NAME: Table = Table::new("contact-name");

#[derive(Serialize, Deserialize)]
struct Contact {
    username: String,
    identity: [u8; 32],
}

/// What meeting somebody again has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    /// The pin, now or from before.
    Same,
    /// The account has another identity or another name than before, or the name another account.
    Changed,
}

/// Compares with the pin; the first time it becomes the pin.
pub(crate) fn meet(tx: &Writer<'_>, account: AccountId, username: &Username, identity: &IdentityPublicKey) -> Result<Met, Problem> {
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
    };
    rows::put(tx, CONTACTS, account.as_bytes(), &contact)?;
    tx.put(BY_NAME, username.as_str().as_bytes(), account.as_bytes())?;
    Ok(Met::Same)
}

/// Somebody, with the name under which this device has met them.
pub(crate) fn person(tx: &Reader<'_>, account: AccountId) -> Result<Person, Problem> {
    let contact: Option<Contact> = rows::get(tx, CONTACTS, account.as_bytes())?;
    let username = contact.and_then(|contact| contact.username.parse().ok());
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
