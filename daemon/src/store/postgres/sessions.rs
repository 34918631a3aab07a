//! Devices and sessions.

use super::{accounts::insert_log, arrivals::Arrivals, lock};
use crate::store::{
    Denied, Result,
    accounts::{Resumption, SESSIONS_PER_DEVICE_MAX, SessionId, SignIn, SignedIn, TokenDigest},
    directory::session_id,
    tokens::{REMEMBERED_MS, resumed, token},
    values::bindable,
};
use fastchat_schema::PostgresDatabase;
use fastchat_wire::{AccountId, DeviceId, LogId, limits::DEVICES_PER_ACCOUNT_MAX};
use sqlx::PgConnection;

/// A device, with its inbox.
pub(super) async fn insert_device(connection: &mut PgConnection, account: AccountId, device: DeviceId, name: &str, at: u64) -> Result<()> {
    sqlx::query("INSERT INTO devices (id, account_id, name, created_at) VALUES ($1, $2, $3, $4)")
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
    connection: &mut PgConnection,
    account: AccountId,
    device: DeviceId,
    session: SessionId,
    token: &TokenDigest,
    at: u64,
) -> Result<()> {
    sqlx::query("INSERT INTO sessions (id, account_id, device_id, created_at) VALUES ($1, $2, $3, $4)")
        .bind(session.0.as_slice())
        .bind(account.as_bytes().as_slice())
        .bind(device.as_bytes().as_slice())
        .bind(bindable(at))
        .execute(&mut *connection)
        .await?;
    insert_token(connection, session, token, "current", at).await
}

async fn insert_token(connection: &mut PgConnection, session: SessionId, token: &TokenDigest, state: &str, at: u64) -> Result<()> {
    sqlx::query("INSERT INTO session_tokens (digest, session_id, state, issued_at) VALUES ($1, $2, $3, $4)")
        .bind(token.as_slice())
        .bind(session.0.as_slice())
        .bind(state)
        .bind(bindable(at))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn sign_in(database: &PostgresDatabase, sign_in: SignIn) -> Result<SignedIn> {
    let mut tx = database.write().await?;
    lock::account(&mut tx, sign_in.account).await?;
    let locked = sqlx::query_scalar::<_, bool>("SELECT locked FROM accounts WHERE id = $1")
        .bind(sign_in.account.as_bytes().as_slice())
        .fetch_optional(&mut *tx)
        .await?;
    match locked {
        None => return Err(Denied::NotFound("no such account").into()),
        Some(false) => {}
        Some(true) => return Err(Denied::Locked.into()),
    }
    let devices = sqlx::query_scalar::<_, Vec<u8>>("SELECT id FROM devices WHERE account_id = $1")
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
            let taken = sqlx::query("SELECT 1 FROM logs WHERE id = $1")
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
async fn make_room(connection: &mut PgConnection, device: DeviceId) -> Result<Vec<SessionId>> {
    let rows = sqlx::query(
        "DELETE FROM sessions WHERE id IN
             (SELECT id FROM sessions WHERE device_id = $1 ORDER BY created_at DESC, id DESC OFFSET $2)
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
    WHERE t.digest = $1";

pub(super) async fn resume(
    database: &PostgresDatabase,
    arrivals: &Arrivals,
    digest: TokenDigest,
    fresh: TokenDigest,
    at: u64,
) -> Result<Resumption> {
    // Most resumptions change nothing: they need no turn among the writers.
    let found = arrivals.read(sqlx::query(TOKEN).bind(digest.as_slice())).await?;
    let Some(found) = found.first().map(token).transpose()? else {
        return Ok(Resumption::Unknown);
    };
    if found.state == "current" && !found.is_due(at) {
        return resumed(&found, false);
    }

    let mut tx = database.write().await?;
    sqlx::query("SELECT 1 FROM session_tokens t JOIN sessions s ON s.id = t.session_id WHERE t.digest = $1 FOR UPDATE OF s")
        .bind(digest.as_slice())
        .execute(&mut *tx)
        .await?;
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
        sqlx::query("UPDATE session_tokens SET state = CASE WHEN digest = $1 THEN 'current' ELSE 'retired' END WHERE session_id = $2")
            .bind(digest.as_slice())
            .bind(session.0.as_slice())
            .execute(&mut *tx)
            .await?;
    }
    let rotated = found.is_due(at);
    if rotated {
        sqlx::query("DELETE FROM session_tokens WHERE session_id = $1 AND state <> 'current' AND issued_at < $2")
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

pub(super) async fn end_session(database: &PostgresDatabase, session: SessionId) -> Result<()> {
    let mut tx = database.write().await?;
    delete_session(&mut tx, session).await?;
    Ok(tx.commit().await?)
}

async fn delete_session(connection: &mut PgConnection, session: SessionId) -> Result<()> {
    sqlx::query("DELETE FROM sessions WHERE id = $1")
        .bind(session.0.as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn end_sessions(database: &PostgresDatabase, account: AccountId) -> Result<()> {
    let mut tx = database.write().await?;
    lock::account(&mut tx, account).await?;
    sqlx::query("DELETE FROM sessions WHERE account_id = $1")
        .bind(account.as_bytes().as_slice())
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

pub(super) async fn rename_device(database: &PostgresDatabase, account: AccountId, device: DeviceId, name: &str) -> Result<()> {
    let mut tx = database.write().await?;
    let renamed = sqlx::query("UPDATE devices SET name = $1 WHERE id = $2 AND account_id = $3")
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

pub(super) async fn remove_device(database: &PostgresDatabase, account: AccountId, device: DeviceId) -> Result<()> {
    let mut tx = database.write().await?;
    lock::account(&mut tx, account).await?;
    // A commit may just be writing into the inbox.
    lock::logs(&mut tx, &[LogId::inbox_of(device)]).await?;
    // Its sessions, tokens and key packages go with it.
    let removed = sqlx::query("DELETE FROM devices WHERE id = $1 AND account_id = $2")
        .bind(device.as_bytes().as_slice())
        .bind(account.as_bytes().as_slice())
        .execute(&mut *tx)
        .await?;
    if removed.rows_affected() == 0 {
        return Err(Denied::NotFound("the account has no such device").into());
    }
    for delete in ["DELETE FROM entries WHERE log_id = $1", "DELETE FROM logs WHERE id = $1"] {
        sqlx::query(delete).bind(device.as_bytes().as_slice()).execute(&mut *tx).await?;
    }
    Ok(tx.commit().await?)
}
