//! Key packages: handed out once each, the last-resort one again and again.

use super::values::id_list;
use crate::store::{
    Denied, Result,
    values::{self, bindable, flag, id, number},
};
use bytes::Bytes;
use fastchat_schema::PostgresDatabase;
use fastchat_wire::{
    AccountId, DeviceId,
    limits::{KEYS_CLAIM_BYTES_MAX, KEYS_CLAIM_PACKAGES_MAX, KEYS_PER_DEVICE_MAX},
};
use futures::TryStreamExt;
use sqlx::PgConnection;

pub(super) async fn keys_publish(database: &PostgresDatabase, device: DeviceId, packages: &[Bytes], last_resort: bool) -> Result<u64> {
    let mut tx = database.write().await?;
    let known = sqlx::query("SELECT 1 FROM devices WHERE id = $1 FOR NO KEY UPDATE")
        .bind(device.as_bytes().as_slice())
        .fetch_optional(&mut *tx)
        .await?;
    if known.is_none() {
        // It was removed while it was bindable in.
        return Err(Denied::Unauthenticated.into());
    }
    let mut available = count(&mut tx, device).await?;
    if !last_resort {
        available += packages.len() as u64;
        if available > KEYS_PER_DEVICE_MAX as u64 {
            return Err(Denied::QuotaExceeded("a device has at most 1,000 unclaimed key packages").into());
        }
    }
    let packages: Vec<&[u8]> = packages.iter().map(AsRef::as_ref).collect();
    let insert = if last_resort { INSERT_LAST_RESORT } else { INSERT };
    sqlx::query(insert)
        .bind(device.as_bytes().as_slice())
        .bind(packages)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(available)
}

pub(super) async fn keys_count(database: &PostgresDatabase, device: DeviceId) -> Result<u64> {
    let mut connection = database.pool().acquire().await?;
    count(&mut connection, device).await
}

async fn count(connection: &mut PgConnection, device: DeviceId) -> Result<u64> {
    let row = sqlx::query("SELECT count(*) AS available FROM key_packages WHERE device_id = $1 AND NOT last_resort")
        .bind(device.as_bytes().as_slice())
        .fetch_one(connection)
        .await?;
    number(&row, "available")
}

pub(super) async fn keys_claim(
    database: &PostgresDatabase,
    accounts: &[AccountId],
    devices: &[DeviceId],
) -> Result<Vec<(DeviceId, Bytes)>> {
    if accounts.is_empty() && devices.is_empty() {
        return Ok(Vec::new());
    }
    let mut tx = database.write().await?;
    let wanted = sqlx::query("SELECT id FROM devices WHERE account_id = ANY ($1) OR id = ANY ($2) ORDER BY id FOR NO KEY UPDATE")
        .bind(id_list(accounts.iter().map(AccountId::as_bytes)))
        .bind(id_list(devices.iter().map(DeviceId::as_bytes)))
        .fetch_all(&mut *tx)
        .await?;
    let wanted: Vec<DeviceId> = wanted.iter().map(|row| id(row, "id")).collect::<Result<_>>()?;
    let (claimed, used_up) = choose(&mut tx, &wanted).await?;
    let (devices, numbers): (Vec<DeviceId>, Vec<i64>) = used_up.into_iter().unzip();
    sqlx::query(
        "DELETE FROM key_packages AS package USING unnest($1::bytea[], $2::bigint[]) AS used (device_id, number)
         WHERE package.device_id = used.device_id AND package.number = used.number",
    )
    .bind(id_list(devices.iter().map(DeviceId::as_bytes)))
    .bind(numbers)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(claimed)
}

/// What was claimed, and the numbers of those packages that may be handed out only this once.
type Claim = (Vec<(DeviceId, Bytes)>, Vec<(DeviceId, i64)>);

/// One package for each device: the oldest one-time one, else the last-resort one.
async fn choose(connection: &mut PgConnection, wanted: &[DeviceId]) -> Result<Claim> {
    let mut rows = sqlx::query(
        "SELECT wanted.device_id, package.number, package.last_resort, package.package
         FROM unnest($1::bytea[]) AS wanted (device_id)
         CROSS JOIN LATERAL (SELECT number, last_resort, package FROM key_packages
                             WHERE device_id = wanted.device_id ORDER BY last_resort, number LIMIT 1) AS package
         ORDER BY wanted.device_id LIMIT $2",
    )
    .bind(id_list(wanted.iter().map(DeviceId::as_bytes)))
    .bind(bindable(KEYS_CLAIM_PACKAGES_MAX as u64 + 1))
    .fetch(connection);
    let (mut claimed, mut used_up, mut bytes) = (Vec::new(), Vec::new(), 0);
    while let Some(row) = rows.try_next().await? {
        let device: DeviceId = id(&row, "device_id")?;
        let package = Bytes::copy_from_slice(values::bytes(&row, "package")?);
        bytes += package.len();
        if claimed.len() == KEYS_CLAIM_PACKAGES_MAX || bytes > KEYS_CLAIM_BYTES_MAX {
            return Err(Denied::QuotaExceeded("so many key packages don't fit one answer: ask for fewer accounts at once").into());
        }
        claimed.push((device, package));
        if !flag(&row, "last_resort")? {
            used_up.push((device, bindable(number(&row, "number")?)));
        }
    }
    Ok((claimed, used_up))
}

/// Numbers go on from the device's last one, under the lock of its row.
const INSERT: &str = "
    INSERT INTO key_packages (device_id, number, last_resort, package)
    SELECT $1, (SELECT coalesce(max(number), 0) FROM key_packages WHERE device_id = $1) + place, false, package
    FROM unnest($2::bytea[]) WITH ORDINALITY AS given (package, place)";

/// The same for the one that stays; it replaces the one before.
const INSERT_LAST_RESORT: &str = "
    INSERT INTO key_packages (device_id, number, last_resort, package)
    SELECT $1, (SELECT coalesce(max(number), 0) FROM key_packages WHERE device_id = $1) + place, true, package
    FROM unnest($2::bytea[]) WITH ORDINALITY AS given (package, place)
    ON CONFLICT (device_id) WHERE last_resort DO UPDATE SET package = excluded.package";
