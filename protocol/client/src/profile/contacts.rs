//! Whom this device has met: names and pinned identities.
//!
//! The identity that an account had when this device first met it is its pin.
//! Another one later is not taken over: it is a [`Claim`] until a person accepts it.
//!
//! A credential says its owner's name, and nobody but its owner has signed that. So whom this device meets in a group
//! first is compared with what the fleet says of that account before the name leads to them, or as soon as it can be.

use super::{archive, rows};
use crate::{problem::Problem, record::Person, trust::Why};
use fastchat_e2e::{
    AccountId, ConversationId, IdentityPublicKey, Username, archive as sealed,
    store::{Reader, Scan, Table, Writer},
};
use serde::{Deserialize, Serialize};

/// account → [`Contact`].
const CONTACTS: Table = Table::new("contact");
/// username → account, by the fleet's word or a person's.
const BY_NAME: Table = Table::new("contact-name");
/// account → the conversation in which it was met first: to be compared with the fleet's word.
const UNCHECKED: Table = Table::new("contact-unchecked");

/// Compared at once.
const UNCHECKED_MAX: u32 = 64;

#[derive(Serialize, Deserialize)]
struct Contact {
    username: String,
    identity: [u8; 32],
    /// The fleet knows this account otherwise, or its name was given to another one: the name is not shown.
    #[serde(default)]
    doubted: bool,
    /// A person has decided about it: only another identity or name is a question again.
    #[serde(default)]
    settled: bool,
    /// A person has compared the safety number.
    #[serde(default)]
    verified: bool,
    /// Another device of the account has met them: it came from the archive.
    #[serde(default)]
    restored: bool,
}

/// What an account is said to be, and is not by its pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) why: Why,
    pub(crate) username: Username,
    pub(crate) identity: IdentityPublicKey,
}

/// Who somebody is by the pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) username: Username,
    pub(crate) identity: IdentityPublicKey,
    pub(crate) verified: bool,
}

/// Compares what the fleet says with the pin; the first time it becomes the pin. The name leads to this account then.
pub(crate) fn meet(
    tx: &Writer<'_>,
    account: AccountId,
    username: &Username,
    identity: &IdentityPublicKey,
) -> Result<Option<Claim>, Problem> {
    let claim = pin_first(tx, account, username, identity)?;
    if claim.is_none() {
        tx.put(BY_NAME, username.as_str().as_bytes(), account.as_bytes())?;
        tx.delete(UNCHECKED, account.as_bytes())?;
    }
    Ok(claim)
}

/// Compares a leaf of a group with the pin; the first time it becomes the pin, and is to be compared with the fleet's word.
pub(crate) fn see(
    tx: &Writer<'_>,
    conversation: ConversationId,
    account: AccountId,
    username: &Username,
    identity: &IdentityPublicKey,
) -> Result<Option<Claim>, Problem> {
    let is_first = !tx.has(CONTACTS, account.as_bytes())?;
    let claim = pin_first(tx, account, username, identity)?;
    if is_first && claim.is_none() {
        tx.put(UNCHECKED, account.as_bytes(), conversation.as_bytes())?;
    }
    Ok(claim)
}

fn pin_first(tx: &Writer<'_>, account: AccountId, username: &Username, identity: &IdentityPublicKey) -> Result<Option<Claim>, Problem> {
    let claim = |why| {
        Ok(Some(Claim {
            why,
            username: username.clone(),
            identity: *identity,
        }))
    };
    let pin = find(tx, account)?;
    match &pin {
        Some(pin) if pin.identity != *identity.as_bytes() => return claim(Why::IdentityChanged),
        Some(pin) if pin.username != username.as_str() => return claim(Why::Renamed),
        Some(pin) if pin.settled => return Ok(None),
        Some(pin) if pin.doubted => return claim(Why::Doubted),
        _ => {}
    }
    if self::account(tx, username)?.is_some_and(|owner| owner != account) {
        return claim(Why::NameTaken);
    }
    if pin.is_none() {
        let contact = Contact {
            username: username.as_str().to_owned(),
            identity: *identity.as_bytes(),
            doubted: false,
            settled: false,
            verified: false,
            restored: false,
        };
        rows::put(tx, CONTACTS, account.as_bytes(), &contact)?;
        archive::pin_is_due(tx, account)?;
    }
    Ok(None)
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

/// The fleet knows this account otherwise, or not at all. Gives what it had claimed; none where that was settled before.
pub(crate) fn doubt(tx: &Writer<'_>, account: AccountId) -> Result<Option<Claim>, Problem> {
    if !tx.delete(UNCHECKED, account.as_bytes())? {
        return Ok(None);
    }
    let Some(contact) = find(tx, account)? else {
        return Ok(None);
    };
    let contact = Contact { doubted: true, ..contact };
    rows::put(tx, CONTACTS, account.as_bytes(), &contact)?;
    let pin = read(&contact)?;
    Ok(Some(Claim {
        why: Why::Doubted,
        username: pin.username,
        identity: pin.identity,
    }))
}

/// A person accepts a claim: it is the pin from now on, and its name leads to this account and to no other.
pub(crate) fn accept(tx: &Writer<'_>, account: AccountId, claim: &Claim, verified: bool) -> Result<(), Problem> {
    let name = claim.username.as_str();
    if let Some(owner) = self::account(tx, &claim.username)?.filter(|owner| *owner != account)
        && let Some(contact) = find(tx, owner)?
    {
        let nameless = Contact {
            doubted: true,
            settled: true,
            verified: false,
            ..contact
        };
        rows::put(tx, CONTACTS, owner.as_bytes(), &nameless)?;
    }
    let contact = Contact {
        username: name.to_owned(),
        identity: *claim.identity.as_bytes(),
        doubted: false,
        settled: true,
        verified,
        restored: false,
    };
    rows::put(tx, CONTACTS, account.as_bytes(), &contact)?;
    archive::pin_is_due(tx, account)?;
    tx.put(BY_NAME, name.as_bytes(), account.as_bytes())?;
    tx.delete(UNCHECKED, account.as_bytes())?;
    Ok(())
}

/// A person has compared the safety number of an account.
pub(crate) fn save_verified(tx: &Writer<'_>, account: AccountId) -> Result<(), Problem> {
    if let Some(contact) = find(tx, account)? {
        let contact = Contact { verified: true, ..contact };
        rows::put(tx, CONTACTS, account.as_bytes(), &contact)?;
        archive::pin_is_due(tx, account)?;
    }
    Ok(())
}

/// Somebody, with the name under which this device has met them.
pub(crate) fn person(tx: &Reader<'_>, account: AccountId) -> Result<Person, Problem> {
    let believed = find(tx, account)?.filter(|contact| !contact.doubted);
    let username = believed.and_then(|contact| contact.username.parse().ok());
    Ok(Person { account, username })
}

/// The account that this device has met under a name.
pub(crate) fn account(tx: &Reader<'_>, username: &Username) -> Result<Option<AccountId>, Problem> {
    let row = tx.get(BY_NAME, username.as_str().as_bytes())?;
    Ok(row.and_then(|row| AccountId::try_from(row.expose()).ok()))
}

/// With what an account was met.
pub(crate) fn pin(tx: &Reader<'_>, account: AccountId) -> Result<Option<Pin>, Problem> {
    find(tx, account)?.as_ref().map(read).transpose()
}

fn find(tx: &Reader<'_>, account: AccountId) -> Result<Option<Contact>, Problem> {
    rows::get(tx, CONTACTS, account.as_bytes())
}

fn read(contact: &Contact) -> Result<Pin, Problem> {
    Ok(Pin {
        username: contact.username.parse().map_err(|_| rows::damaged(CONTACTS))?,
        identity: IdentityPublicKey(contact.identity),
        verified: contact.verified,
    })
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
pub(crate) fn archived(tx: &Reader<'_>, account: AccountId) -> Result<Option<sealed::Pin>, Problem> {
    let contact = find(tx, account)?.filter(|contact| !contact.doubted);
    Ok(contact.map(|contact| sealed::Pin {
        account,
        username: contact.username,
        identity: contact.identity,
        verified: contact.verified,
    }))
}

/// Takes over a pin from the account's archive, where this device has none of its own. False where it differs from what
/// this device has seen. One that differs from another of the archive is older than it: a person has accepted the change.
pub(crate) fn restore(tx: &Writer<'_>, pin: &sealed::Pin) -> Result<bool, Problem> {
    let Ok(username) = pin.username.parse::<Username>() else {
        return Ok(false);
    };
    if let Some(known) = find(tx, pin.account)? {
        let is_same = known.identity == pin.identity && known.username == pin.username;
        return Ok(is_same || known.restored);
    }
    if account(tx, &username)?.is_some_and(|owner| owner != pin.account) {
        return Ok(false);
    }
    let contact = Contact {
        username: pin.username.clone(),
        identity: pin.identity,
        doubted: false,
        settled: false,
        verified: pin.verified,
        restored: true,
    };
    rows::put(tx, CONTACTS, pin.account.as_bytes(), &contact)?;
    tx.put(BY_NAME, username.as_str().as_bytes(), pin.account.as_bytes())?;
    Ok(true)
}
