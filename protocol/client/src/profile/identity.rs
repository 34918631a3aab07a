//! Whose device this is, and what signs it in.

use super::rows::{self, ONLY, damaged};
use crate::{ids::new_entry, problem::Problem};
use fastchat_e2e::{
    AccountId, BackupPublicKey, Credential, DeviceId, DeviceKey, Username,
    secret::{SecretBytes, SigningSeed},
    store::{Reader, Scan, Table, Writer},
};
use fastchat_wire::Secret;

/// → this device's credential: who it is.
const CREDENTIAL: Table = Table::new("credential");
/// → the seed of this device's key.
const DEVICE_KEY: Table = Table::new("device-key");
/// → the session's token.
const TOKEN: Table = Table::new("token");
/// u32 generation → public backup key.
const BACKUP: Table = Table::new("backup");
/// → the fleet knows this device's credential.
const PUBLISHED: Table = Table::new("credential-published");
/// → when the last-resort key package was published, in ms since 1970.
const LAST_RESORT: Table = Table::new("last-resort");
/// → what a registration that may have been cut off needs to be gone on with.
const REGISTERING: Table = Table::new("registering");
/// → the id under which a login makes this device: it is sent again where the answer was lost.
const NEW_DEVICE: Table = Table::new("new-device");

/// Whose device this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// The account.
    pub account: AccountId,
    /// This device of it.
    pub device: DeviceId,
    /// The account's name.
    pub username: Username,
}

impl Me {
    pub(crate) fn of(credential: &Credential) -> Self {
        let subject = credential.subject();
        Self {
            account: subject.account,
            device: subject.device,
            username: subject.username.clone(),
        }
    }
}

/// The id of the device that a login makes of this profile, the same whenever it is tried again.
pub(crate) fn new_device(tx: &Writer<'_>) -> Result<DeviceId, Problem> {
    if let Some(row) = tx.get(NEW_DEVICE, ONLY)? {
        return DeviceId::try_from(row.expose()).map_err(|_| damaged(NEW_DEVICE));
    }
    let drawn = DeviceId(new_entry().0);
    tx.put(NEW_DEVICE, ONLY, drawn.as_bytes())?;
    Ok(drawn)
}

/// This device's credential, once it has signed in.
pub(crate) fn credential(tx: &Reader<'_>) -> Result<Option<Credential>, Problem> {
    let Some(row) = tx.get(CREDENTIAL, ONLY)? else {
        return Ok(None);
    };
    Credential::verify(row.expose()).map(Some).map_err(|_| damaged(CREDENTIAL))
}

/// This device's key.
pub(crate) fn device_key(tx: &Reader<'_>) -> Result<Option<DeviceKey>, Problem> {
    let Some(row) = tx.get(DEVICE_KEY, ONLY)? else {
        return Ok(None);
    };
    let seed = row.expose().try_into().map_err(|_| damaged(DEVICE_KEY))?;
    Ok(Some(DeviceKey::from_seed(&SigningSeed::new(seed))))
}

/// A device that has just signed in for the first time.
pub(crate) fn save(
    tx: &Writer<'_>,
    credential: &Credential,
    key: &DeviceKey,
    backup: Option<(u32, BackupPublicKey)>,
) -> Result<(), Problem> {
    tx.put(CREDENTIAL, ONLY, credential.as_bytes())?;
    tx.put(DEVICE_KEY, ONLY, key.seed().expose())?;
    if let Some((generation, public)) = backup {
        save_backup(tx, generation, public)?;
    }
    Ok(())
}

/// The newest public backup key that this device knows, and its generation: what it archives to.
pub(crate) fn backup(tx: &Reader<'_>) -> Result<Option<(u32, BackupPublicKey)>, Problem> {
    let Some((key, row)) = tx.list(BACKUP, Scan::newest(&[], 1))?.pop() else {
        return Ok(None);
    };
    let generation = <[u8; 4]>::try_from(&key[..]).map(u32::from_be_bytes);
    match (generation, row.expose().try_into()) {
        (Ok(generation), Ok(public)) => Ok(Some((generation, BackupPublicKey(public)))),
        _ => Err(damaged(BACKUP)),
    }
}

/// A public backup key, as the keyring has it.
pub(crate) fn save_backup(tx: &Writer<'_>, generation: u32, public: BackupPublicKey) -> Result<(), Problem> {
    Ok(tx.put(BACKUP, &generation.to_be_bytes(), public.as_bytes())?)
}

/// The session's token.
pub(crate) fn token(tx: &Reader<'_>) -> Result<Option<Secret>, Problem> {
    let Some(row) = tx.get(TOKEN, ONLY)? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(row.expose()).map_err(|_| damaged(TOKEN))?;
    Ok(Some(Secret::new(text.to_owned())))
}

/// A new token, or none any more.
pub(crate) fn save_token(tx: &Writer<'_>, token: Option<&Secret>) -> Result<(), Problem> {
    match token {
        Some(token) => tx.put(TOKEN, ONLY, token.expose().as_bytes())?,
        None => _ = tx.delete(TOKEN, ONLY)?,
    }
    Ok(())
}

/// Whether the fleet knows this device's credential.
pub(crate) fn is_published(tx: &Reader<'_>) -> Result<bool, Problem> {
    Ok(tx.has(PUBLISHED, ONLY)?)
}

pub(crate) fn save_published(tx: &Writer<'_>) -> Result<(), Problem> {
    Ok(tx.put(PUBLISHED, ONLY, &[])?)
}

/// When the last-resort key package was published, in ms since 1970.
pub(crate) fn last_resort(tx: &Reader<'_>) -> Result<Option<u64>, Problem> {
    rows::get(tx, LAST_RESORT, ONLY)
}

/// It was published then; none: it was used, a new one is due.
pub(crate) fn save_last_resort(tx: &Writer<'_>, at_ms: Option<u64>) -> Result<(), Problem> {
    match at_ms {
        Some(at_ms) => rows::put(tx, LAST_RESORT, ONLY, &at_ms)?,
        None => _ = tx.delete(LAST_RESORT, ONLY)?,
    }
    Ok(())
}

/// What a registration that may have been cut off needs to be gone on with.
pub(crate) fn registering(tx: &Reader<'_>) -> Result<Option<SecretBytes>, Problem> {
    Ok(tx.get(REGISTERING, ONLY)?)
}

pub(crate) fn save_registering(tx: &Writer<'_>, state: Option<&[u8]>) -> Result<(), Problem> {
    match state {
        Some(state) => tx.put(REGISTERING, ONLY, state)?,
        None => _ = tx.delete(REGISTERING, ONLY)?,
    }
    Ok(())
}
