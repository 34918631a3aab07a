//! Key packages: handed out once each, the last-resort one again and again.

use crate::store::{
    Denied, Result,
    values::{bindable, id, number},
};
use bytes::Bytes;
use fastchat_schema::Database;
use fastchat_wire::{
    AccountId, DeviceId,
    limits::{KEYS_CLAIM_BYTES_MAX, KEYS_CLAIM_PACKAGES_MAX, KEYS_PER_DEVICE_MAX},
};
use futures::TryStreamExt;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

pub(super) async fn keys_publish(database: &Database, device: DeviceId, packages: &[Bytes], last_resort: bool) -> Result<u64> {
    let mut tx = database.write().await?;
    let known = sqlx::query("SELECT 1 FROM devices WHERE id = ?")
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
    if !packages.is_empty() {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO key_packages (device_id, last_resort, package) ");
        insert.push_values(packages, |mut row, package| {
            row.push_bind(device.as_bytes().as_slice())
                .push_bind(i64::from(last_resort))
                .push_bind(package.as_ref());
        });
        if last_resort {
            insert.push(" ON CONFLICT (device_id) WHERE last_resort = 1 DO UPDATE SET package = excluded.package");
        }
        insert.build().execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(available)
}

pub(super) async fn keys_count(database: &Database, device: DeviceId) -> Result<u64> {
    let mut connection = database.readers().acquire().await?;
    count(&mut connection, device).await
}

async fn count(connection: &mut SqliteConnection, device: DeviceId) -> Result<u64> {
    let row = sqlx::query("SELECT count(*) AS available FROM key_packages WHERE device_id = ? AND last_resort = 0")
        .bind(device.as_bytes().as_slice())
        .fetch_one(connection)
        .await?;
    number(&row, "available")
}

pub(super) async fn keys_claim(database: &Database, accounts: &[AccountId], devices: &[DeviceId]) -> Result<Vec<(DeviceId, Bytes)>> {
    if accounts.is_empty() && devices.is_empty() {
        return Ok(Vec::new());
    }
    let mut tx = database.write().await?;
    let (claimed, used_up) = choose(&mut tx, accounts, devices).await?;
    if !used_up.is_empty() {
        let mut delete = QueryBuilder::<Sqlite>::new("DELETE FROM key_packages WHERE number IN (");
        let mut numbers = delete.separated(", ");
        for number in used_up {
            numbers.push_bind(number);
        }
        numbers.push_unseparated(")");
        delete.build().execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(claimed)
}

/// One package for each device: the oldest one-time one, else the last-resort
/// one. Also the numbers of those that may be handed out only this once.
async fn choose(
    connection: &mut SqliteConnection,
    accounts: &[AccountId],
    devices: &[DeviceId],
) -> Result<(Vec<(DeviceId, Bytes)>, Vec<i64>)> {
    let mut select = QueryBuilder::<Sqlite>::new("WITH wanted AS (SELECT id FROM devices WHERE account_id IN (");
    push_ids(&mut select, accounts.iter().map(AccountId::as_bytes));
    select.push(" UNION SELECT id FROM devices WHERE id IN (");
    push_ids(&mut select, devices.iter().map(DeviceId::as_bytes));
    select.push(
        ") SELECT k.device_id, k.number, k.last_resort, k.package FROM wanted w JOIN key_packages k ON k.number =
               (SELECT number FROM key_packages WHERE device_id = w.id ORDER BY last_resort, number LIMIT 1)
           ORDER BY k.device_id LIMIT ",
    );
    select.push_bind(bindable(KEYS_CLAIM_PACKAGES_MAX as u64 + 1));

    let (mut claimed, mut used_up, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut rows = select.build().fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let package = Bytes::from(row.try_get::<Vec<u8>, _>("package")?);
        bytes += package.len();
        if claimed.len() == KEYS_CLAIM_PACKAGES_MAX || bytes > KEYS_CLAIM_BYTES_MAX {
            return Err(Denied::QuotaExceeded("so many key packages don't fit one answer: ask for fewer accounts at once").into());
        }
        claimed.push((id(&row, "device_id")?, package));
        if row.try_get::<i64, _>("last_resort")? == 0 {
            used_up.push(row.try_get("number")?);
        }
    }
    Ok((claimed, used_up))
}

/// The rest of an `IN (` list.
fn push_ids<'a>(query: &mut QueryBuilder<Sqlite>, ids: impl Iterator<Item = &'a [u8; 16]>) {
    let mut list = query.separated(", ");
    for id in ids {
        list.push_bind(id.to_vec());
    }
    list.push_unseparated(")");
}
