//! `keys-claim`: one KeyPackage for each device.

use crate::{Connection, Failure};
use bytes::Bytes;
use fastchat_wire::{
    Block, DeviceId,
    chat::keys_claim::{KeysClaim, KeysClaimLists},
};

/// A package for each device of the lists that has one.
///
/// # Errors
/// `quota-exceeded` (ask for fewer at once), `not-found`.
pub async fn keys_claim(connection: &Connection, lists: &KeysClaimLists) -> Result<Vec<(DeviceId, Bytes)>, Failure> {
    let reply = connection.request(&KeysClaim {}, &Block::json(lists)).await?;
    let mut pieces = reply.pieces.into_iter();
    let first = pieces.next().unwrap_or_default();
    let devices: Vec<DeviceId> =
        serde_json::from_slice(&first).map_err(|error| Failure::Misbehaved(format!("the list of devices: {error}")))?;
    if devices.len() != pieces.len() {
        let found = pieces.len();
        return Err(Failure::Misbehaved(format!("{found} packages for {} devices", devices.len())));
    }
    Ok(devices.into_iter().zip(pieces).collect())
}
