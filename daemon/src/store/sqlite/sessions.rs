//! Devices and sessions.

use super::accounts::insert_log;
use crate::store::{
    Denied, Result,
    accounts::{Resumption, SESSIONS_PER_DEVICE_MAX, SessionId, SignIn, SignedIn, TokenDigest},
    directory::session_id,
    tokens::{REMEMBERED_MS, resumed, token},
    values::bindable,
};
use fastchat_schema::Database;
use fastchat_wire::{AccountId, DeviceId, limits::DEVICES_PER_ACCOUNT_MAX};
use sqlx::SqliteConnection;

/// A device, with its inbox.
pub(super) async fn insert_device(
    connection: &mut SqliteConnection,
    account: AccountId,
    device: DeviceId,
    name: &str,
    at: u64,
) -> Result<()> {
    sqlx::query("INSERT INTO devices (id, account_id, name, created_at) VALUES (?, ?, ?, ?)")
        .bind(device.as_bytes().as_slice())
        .bind(account.as_bytes().as_slice())
        .bind(name)
        .bind(bindable(at))
        .execute(&mut *connection)
        .await?;
    insert_log(connection, device.as_bytes(), "inbox", account, at).await
}

/// A session with its first token.
pub(super) async fn insert_session(
    connection: &mut SqliteConnection,
    account: AccountId,
    device: DeviceId,
    session: SessionId,
    token: &TokenDigest,
    at: u64,
) -> Result<()> {
    sqlx::query("INSERT INTO sessions (id, account_id, device_id, created_at) VALUES (?, ?, ?, ?)")
        .bind(session.0.as_slice())
        .bind(account.as_bytes().as_slice())
        .bind(device.as_bytes().as_slice())
        .bind(bindable(at))
        .execute(&mut *connection)
        .await?;
    insert_token(connection, session, token, "current", at).await
}

async fn insert_token(connection: &mut SqliteConnection, session: SessionId, token: &TokenDigest, state: &str, at: u64) -> Result<()> {
    sqlx::query("INSERT INTO session_tokens (digest, session_id, state, issued_at) VALUES (?, ?, ?, ?)")
        .bind(token.as_slice())
        .bind(session.0.as_slice())
        .bind(state)
        .bind(bindable(at))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn sign_in(database: &Database, sign_in: SignIn) -> Result<SignedIn> {
    let mut tx = database.write().await?;
    let locked = sqlx::query_scalar::<_, i64>("SELECT locked FROM accounts WHERE id = ?")
        .bind(sign_in.account.as_bytes().as_slice())
        .fetch_optional(&mut *tx)
        .await?;
    match locked {
        None => return Err(Denied::NotFound("no such account").into()),
        Some(0) => {}
        Some(_) => return Err(Denied::Locked.into()),
    }
    let devices = sqlx::query_scalar::<_, Vec<u8>>("SELECT id FROM devices WHERE account_id = ?")
        .bind(sign_in.account.as_bytes().as_slice())
        .fetch_all(&mut *tx)
        .await?;
    let is_known = devices.iter().any(|d| d == sign_in.device.as_bytes());
    match &sign_in.new_device {
        _ if is_known => {}
        None => return Err(Denied::NotFound("the account has no such device: sign in without one to add a new one").into()),
        Some(_) if devices.len() >= DEVICES_PER_ACCOUNT_MAX => {
            return Err(Denied::QuotaExceeded("an account has at most 16 devices: remove one first").into());
        }
        Some(name) => {
            // A device's inbox has its id.
            let taken = sqlx::query("SELECT 1 FROM logs WHERE id = ?")
                .bind(sign_in.device.as_bytes().as_slice())
                .fetch_optional(&mut *tx)
                .await?;
            if taken.is_some() {
                return Err(Denied::Conflict("the new device's id is taken: choose another one").into());
            }
            insert_device(&mut tx, sign_in.account, sign_in.device, name, sign_in.at).await?;
        }
    }
    let ended = make_room(&mut tx, sign_in.device).await?;
    insert_session(
        &mut tx,
        sign_in.account,
        sign_in.device,
        sign_in.session,
        &sign_in.token,
        sign_in.at,
    )
    .await?;
    tx.commit().await?;
    Ok(SignedIn { added: !is_known, ended })
}

/// Ends a device's oldest sessions, so that one more may begin.
async fn make_room(connection: &mut SqliteConnection, device: DeviceId) -> Result<Vec<SessionId>> {
    let rows = sqlx::query(
        "DELETE FROM sessions WHERE id IN
             (SELECT id FROM sessions WHERE device_id = ? ORDER BY created_at DESC, rowid DESC LIMIT -1 OFFSET ?)
         RETURNING id",
    )
    .bind(device.as_bytes().as_slice())
    .bind(bindable(SESSIONS_PER_DEVICE_MAX as u64 - 1))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| session_id(row, "id")).collect()
}

const TOKEN: &str = "
    SELECT t.state, s.id AS session_id, s.account_id, s.device_id, a.locked,
           (SELECT max(issued_at) FROM session_tokens WHERE session_id = s.id) AS newest_at
    FROM session_tokens t JOIN sessions s ON s.id = t.session_id JOIN accounts a ON a.id = s.account_id
    WHERE t.digest = ?";

pub(super) async fn resume(database: &Database, digest: TokenDigest, fresh: TokenDigest, at: u64) -> Result<Resumption> {
    // Most resumptions change nothing: they need no turn among the writers.
    let found = sqlx::query(TOKEN)
        .bind(digest.as_slice())
        .fetch_optional(database.readers())
        .await?;
    let Some(found) = found.as_ref().map(token).transpose()? else {
        return Ok(Resumption::Unknown);
    };
    if found.state == "current" && !found.is_due(at) {
        return resumed(&found, false);
    }

    let mut tx = database.write().await?;
    let found = sqlx::query(TOKEN).bind(digest.as_slice()).fetch_optional(&mut *tx).await?;
    let Some(found) = found.as_ref().map(token).transpose()? else {
        return Ok(Resumption::Unknown);
    };
    let session = found.session.session;
    if found.state == "retired" {
        delete_session(&mut tx, session).await?;
        tx.commit().await?;
        return Ok(Resumption::Ended(session));
    }
    if found.state == "offered" {
        sqlx::query("UPDATE session_tokens SET state = iif(digest = ?, 'current', 'retired') WHERE session_id = ?")
            .bind(digest.as_slice())
            .bind(session.0.as_slice())
            .execute(&mut *tx)
            .await?;
    }
    let rotated = found.is_due(at);
    if rotated {
        sqlx::query("DELETE FROM session_tokens WHERE session_id = ? AND state <> 'current' AND issued_at < ?")
            .bind(session.0.as_slice())
            .bind(bindable(at.saturating_sub(REMEMBERED_MS)))
            .execute(&mut *tx)
            .await?;
        insert_token(&mut tx, session, &fresh, "offered", at).await?;
    }
    let resumption = resumed(&found, rotated)?;
    tx.commit().await?;
    Ok(resumption)
}

pub(super) async fn end_session(database: &Database, session: SessionId) -> Result<()> {
    let mut tx = database.write().await?;
    delete_session(&mut tx, session).await?;
    Ok(tx.commit().await?)
}

async fn delete_session(connection: &mut SqliteConnection, session: SessionId) -> Result<()> {
    sqlx::query("DELETE FROM sessions WHERE id = ?")
        .bind(session.0.as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn end_sessions(database: &Database, account: AccountId) -> Result<()> {
    let mut tx = database.write().await?;
    sqlx::query("DELETE FROM sessions WHERE account_id = ?")
        .bind(account.as_bytes().as_slice())
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

pub(super) async fn rename_device(database: &Database, account: AccountId, device: DeviceId, name: &str) -> Result<()> {
    let mut tx = database.write().await?;
    let renamed = sqlx::query("UPDATE devices SET name = ? WHERE id = ? AND account_id = ?")
        .bind(name)
        .bind(device.as_bytes().as_slice())
        .bind(account.as_bytes().as_slice())
        .execute(&mut *tx)
        .await?;
    if renamed.rows_affected() == 0 {
        return Err(Denied::NotFound("the account has no such device").into());
    }
    Ok(tx.commit().await?)
}

pub(super) async fn remove_device(database: &Database, account: AccountId, device: DeviceId) -> Result<()> {
    let mut tx = database.write().await?;
    // Its sessions, tokens and key packages go with it.
    let removed = sqlx::query("DELETE FROM devices WHERE id = ? AND account_id = ?")
        .bind(device.as_bytes().as_slice())
        .bind(account.as_bytes().as_slice())
        .execute(&mut *tx)
        .await?;
    if removed.rows_affected() == 0 {
        return Err(Denied::NotFound("the account has no such device").into());
    }
    for delete in ["DELETE FROM entries WHERE log_id = ?", "DELETE FROM logs WHERE id = ?"] {
        sqlx::query(delete).bind(device.as_bytes().as_slice()).execute(&mut *tx).await?;
    }
    Ok(tx.commit().await?)
}
