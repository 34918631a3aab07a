//! Accounts and devices, from their rows.

use super::{
    Result, StoreError,
    accounts::{Credentials, SessionId},
    values,
};
use fastchat_schema::Columns;
use fastchat_wire::{
    chat::{
        auth_params::{AuthParameters, Kdf},
        lookup::{DeviceInfo, LookedUp},
    },
    encoding::Bytes64,
    username::InvalidUsername,
};

/// How a name's password is stretched.
pub(in crate::store) fn auth_params(row: &impl Columns) -> Result<AuthParameters> {
    Ok(AuthParameters {
        salt: Bytes64(values::bytes(row, "salt")?.to_vec()),
        kdf: serde_json::from_str(values::text(row, "kdf")?).map_err(|e| StoreError::Internal(e.into()))?,
    })
}

/// A session's id.
pub(in crate::store) fn session_id(row: &impl Columns, column: &str) -> Result<SessionId> {
    values::id(row, column).map(SessionId)
}

/// How a password is stretched, as it is kept.
pub(in crate::store) fn kdf_json(kdf: &Kdf) -> Result<String> {
    serde_json::to_string(kdf).map_err(|e| StoreError::Internal(e.into()))
}

/// What sign-in checks.
pub(in crate::store) fn credentials(row: &impl Columns) -> Result<Credentials> {
    Ok(Credentials {
        account: values::id(row, "id")?,
        auth_hash: values::text(row, "auth_hash")?.to_owned(),
        recovery_hash: row.text("recovery_hash")?.map(str::to_owned),
        keyring: values::bytes(row, "keyring")?.to_vec().into(),
        keyring_version: values::number(row, "keyring_version")?,
        locked: values::flag(row, "locked")?,
    })
}

/// One row for each device; one without a device where there is none.
pub(in crate::store) fn looked_up(rows: &[impl Columns]) -> Result<Option<LookedUp>> {
    let Some(first) = rows.first() else { return Ok(None) };
    let mut found = LookedUp {
        account: values::id(first, "id")?,
        username: values::text(first, "username")?
            .parse()
            .map_err(|e: InvalidUsername| StoreError::Internal(e.into()))?,
        identity: first.bytes("identity")?.map(|key| Bytes64(key.to_vec())),
        devices: Vec::with_capacity(rows.len()),
    };
    for row in rows {
        if let Some(device) = values::optional_id(row, "device_id")? {
            found.devices.push(DeviceInfo {
                device,
                name: values::text(row, "name")?.to_owned(),
                created_at: values::number(row, "created_at")?,
                credential: row.bytes("credential")?.map(|credential| Bytes64(credential.to_vec())),
            });
        }
    }
    Ok(Some(found))
}
