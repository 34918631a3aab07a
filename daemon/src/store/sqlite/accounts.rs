//! Accounts: credentials, keyrings, identities. Devices and sessions are in
//! [`super::sessions`], key packages in [`super::keys`].

use super::{SqliteStore, keys, sessions, values::id_list};
use crate::store::{
    AccountStore, Denied, Result,
    accounts::{Credentials, NewAccount, NewPassword, Resumption, SessionId, SignIn, SignedIn, TokenDigest},
    directory,
    values::{bindable, id, number},
};
use async_trait::async_trait;
use bytes::Bytes;
use fastchat_wire::{
    AccountId, DeviceId, Username,
    chat::{auth_params::AuthParameters, lookup::LookedUp},
};
use sqlx::SqliteConnection;

#[async_trait]
impl AccountStore for SqliteStore {
    async fn auth_params(&self, username: &Username) -> Result<Option<AuthParameters>> {
        let row = sqlx::query("SELECT salt, kdf FROM accounts WHERE username = ?")
            .bind(username.as_str())
            .fetch_optional(self.database.readers())
            .await?;
        row.as_ref().map(directory::auth_params).transpose()
    }

    async fn register(&self, new: NewAccount) -> Result<()> {
        let mut tx = self.database.write().await?;
        let taken = sqlx::query("SELECT 1 FROM accounts WHERE username = ?")
            .bind(new.username.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        if taken.is_some() {
            return Err(Denied::NameTaken.into());
        }
        sqlx::query(
            "INSERT INTO accounts (id, username, salt, kdf, auth_hash, recovery_hash, keyring, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(new.account.as_bytes().as_slice())
        .bind(new.username.as_str())
        .bind(new.params.salt.0.as_slice())
        .bind(directory::kdf_json(&new.params.kdf)?)
        .bind(&new.auth_hash)
        .bind(&new.recovery_hash)
        .bind(new.keyring.as_ref())
        .bind(bindable(new.at))
        .execute(&mut *tx)
        .await?;
        insert_log(&mut tx, new.account.as_bytes(), "archive", new.account, new.at).await?;
        sessions::insert_device(&mut tx, new.account, new.device, &new.device_name, new.at).await?;
        sessions::insert_session(&mut tx, new.account, new.device, new.session, &new.token, new.at).await?;
        Ok(tx.commit().await?)
    }

    async fn credentials(&self, username: &Username) -> Result<Option<Credentials>> {
        let row = sqlx::query("SELECT id, auth_hash, recovery_hash, keyring, keyring_version, locked FROM accounts WHERE username = ?")
            .bind(username.as_str())
            .fetch_optional(self.database.readers())
            .await?;
        row.as_ref().map(directory::credentials).transpose()
    }

    async fn credentials_of(&self, account: AccountId) -> Result<Option<Credentials>> {
        let row = sqlx::query("SELECT id, auth_hash, recovery_hash, keyring, keyring_version, locked FROM accounts WHERE id = ?")
            .bind(account.as_bytes().as_slice())
            .fetch_optional(self.database.readers())
            .await?;
        row.as_ref().map(directory::credentials).transpose()
    }

    async fn sign_in(&self, sign_in: SignIn) -> Result<SignedIn> {
        sessions::sign_in(&self.database, sign_in).await
    }

    async fn resume(&self, token: TokenDigest, fresh: TokenDigest, at: u64) -> Result<Resumption> {
        sessions::resume(&self.database, token, fresh, at).await
    }

    async fn end_session(&self, session: SessionId) -> Result<()> {
        sessions::end_session(&self.database, session).await
    }

    async fn ended(&self, sessions: &[SessionId]) -> Result<Vec<SessionId>> {
        let query = "SELECT unhex(asked.value) AS id FROM json_each(?) AS asked
                     WHERE NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.id = unhex(asked.value))";
        let rows = sqlx::query(query)
            .bind(id_list(sessions.iter().map(|session| &session.0)))
            .fetch_all(self.database.readers())
            .await?;
        rows.iter().map(|row| directory::session_id(row, "id")).collect()
    }

    async fn end_sessions(&self, account: AccountId) -> Result<()> {
        sessions::end_sessions(&self.database, account).await
    }

    async fn change_password(&self, account: AccountId, new: NewPassword) -> Result<u64> {
        let mut tx = self.database.write().await?;
        let row = sqlx::query(
            "UPDATE accounts SET salt = ?, kdf = ?, auth_hash = ?, recovery_hash = coalesce(?, recovery_hash),
                    keyring = ?, keyring_version = keyring_version + 1
             WHERE id = ? AND keyring_version = ? RETURNING keyring_version",
        )
        .bind(new.params.salt.0.as_slice())
        .bind(directory::kdf_json(&new.params.kdf)?)
        .bind(&new.auth_hash)
        .bind(&new.recovery_hash)
        .bind(new.keyring.as_ref())
        .bind(account.as_bytes().as_slice())
        .bind(bindable(new.keyring_version))
        .fetch_optional(&mut *tx)
        .await?;
        let row = row.ok_or(Denied::Conflict(
            "the keyring was changed meanwhile: sign in again and start from the new one",
        ))?;
        let version = number(&row, "keyring_version")?;
        tx.commit().await?;
        Ok(version)
    }

    async fn lookup_username(&self, username: &Username) -> Result<Option<LookedUp>> {
        let rows = sqlx::query(
            "SELECT a.id, a.username, a.identity, d.id AS device_id, d.name, d.created_at, d.credential
             FROM accounts a LEFT JOIN devices d ON d.account_id = a.id WHERE a.username = ? ORDER BY d.id",
        )
        .bind(username.as_str())
        .fetch_all(self.database.readers())
        .await?;
        directory::looked_up(&rows)
    }

    async fn lookup_account(&self, account: AccountId) -> Result<Option<LookedUp>> {
        let rows = sqlx::query(
            "SELECT a.id, a.username, a.identity, d.id AS device_id, d.name, d.created_at, d.credential
             FROM accounts a LEFT JOIN devices d ON d.account_id = a.id WHERE a.id = ? ORDER BY d.id",
        )
        .bind(account.as_bytes().as_slice())
        .fetch_all(self.database.readers())
        .await?;
        directory::looked_up(&rows)
    }

    async fn set_credential(&self, account: AccountId, device: DeviceId, identity: &[u8], credential: &[u8]) -> Result<()> {
        let mut tx = self.database.write().await?;
        let set = sqlx::query("UPDATE devices SET credential = ? WHERE id = ? AND account_id = ?")
            .bind(credential)
            .bind(device.as_bytes().as_slice())
            .bind(account.as_bytes().as_slice())
            .execute(&mut *tx)
            .await?;
        if set.rows_affected() == 0 {
            // It was removed while it was bindable in.
            return Err(Denied::Unauthenticated.into());
        }
        let same = sqlx::query("UPDATE accounts SET identity = ? WHERE id = ? AND coalesce(identity, ?) = ?")
            .bind(identity)
            .bind(account.as_bytes().as_slice())
            .bind(identity)
            .bind(identity)
            .execute(&mut *tx)
            .await?;
        if same.rows_affected() == 0 {
            return Err(Denied::Conflict("the account has another identity").into());
        }
        Ok(tx.commit().await?)
    }

    async fn remove_device(&self, account: AccountId, device: DeviceId) -> Result<()> {
        sessions::remove_device(&self.database, account, device).await
    }

    async fn rename_device(&self, account: AccountId, device: DeviceId, name: &str) -> Result<()> {
        sessions::rename_device(&self.database, account, device, name).await
    }

    async fn keys_publish(&self, device: DeviceId, packages: &[Bytes], last_resort: bool) -> Result<u64> {
        keys::keys_publish(&self.database, device, packages, last_resort).await
    }

    async fn keys_count(&self, device: DeviceId) -> Result<u64> {
        keys::keys_count(&self.database, device).await
    }

    async fn keys_claim(&self, accounts: &[AccountId], devices: &[DeviceId]) -> Result<Vec<(DeviceId, Bytes)>> {
        keys::keys_claim(&self.database, accounts, devices).await
    }

    async fn contacts(&self, account: AccountId) -> Result<Vec<AccountId>> {
        let rows = sqlx::query(
            "SELECT DISTINCT others.account_id
             FROM members own JOIN members others ON others.log_id = own.log_id AND others.through_seq IS NULL
             WHERE own.account_id = ? AND own.through_seq IS NULL AND others.account_id <> own.account_id
             ORDER BY others.account_id",
        )
        .bind(account.as_bytes().as_slice())
        .fetch_all(self.database.readers())
        .await?;
        rows.iter().map(|row| id(row, "account_id")).collect()
    }
}

/// An empty inbox or archive.
pub(super) async fn insert_log(connection: &mut SqliteConnection, log: &[u8; 16], kind: &str, account: AccountId, at: u64) -> Result<()> {
    sqlx::query("INSERT INTO logs (id, kind, account_id, created_at) VALUES (?, ?, ?, ?)")
        .bind(log.as_slice())
        .bind(kind)
        .bind(account.as_bytes().as_slice())
        .bind(bindable(at))
        .execute(connection)
        .await?;
    Ok(())
}
