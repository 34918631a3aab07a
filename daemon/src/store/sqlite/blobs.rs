//! Blobs' metadata.

use super::SqliteStore;
use crate::store::{
    BlobStore, Denied, Result,
    blobs::{Blob, Chunk, DAY_MS, NO_BLOB, NewBlob, Put, advanced, announced, chunk as read_chunk, decoded, within_quota},
    values::{bindable, number},
};
use async_trait::async_trait;
use fastchat_wire::{AccountId, BlobId};
use sqlx::SqliteExecutor;

#[async_trait]
impl BlobStore for SqliteStore {
    async fn blob_create(&self, new: NewBlob) -> Result<Blob> {
        let mut tx = self.database.write().await?;
        let member = sqlx::query("SELECT 1 FROM members WHERE log_id = ? AND account_id = ? AND through_seq IS NULL")
            .bind(new.conversation.as_bytes().as_slice())
            .bind(new.account.as_bytes().as_slice())
            .fetch_optional(&mut *tx)
            .await?;
        if member.is_none() {
            return Err(Denied::NotMember.into());
        }
        let existing =
            sqlx::query("SELECT coalesce(object_key, id) AS object_key, log_id, account_id, size, offset FROM blobs WHERE id = ?")
                .bind(new.blob.as_bytes().as_slice())
                .fetch_optional(&mut *tx)
                .await?;
        if let Some(row) = existing {
            let found = announced(decoded(&row)?, &new)?;
            sqlx::query("UPDATE blobs SET moved_at = max(moved_at, ?) WHERE id = ? AND offset < size")
                .bind(bindable(new.at))
                .bind(new.blob.as_bytes().as_slice())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            return Ok(found);
        }
        let row = sqlx::query(
            "SELECT coalesce(sum(size), 0) AS bytes, coalesce(sum(size) FILTER (WHERE created_at > ?), 0) AS bytes_of_day,
                    count(*) FILTER (WHERE offset < size) AS uploads
             FROM blobs WHERE account_id = ?",
        )
        .bind(bindable(new.at.saturating_sub(DAY_MS)))
        .bind(new.account.as_bytes().as_slice())
        .fetch_one(&mut *tx)
        .await?;
        within_quota(&row, &new)?;
        sqlx::query("INSERT INTO blobs (id, object_key, log_id, account_id, size, created_at, moved_at) VALUES (?, ?, ?, ?, ?, ?, ?)")
            .bind(new.blob.as_bytes().as_slice())
            .bind(new.key.0.as_slice())
            .bind(new.conversation.as_bytes().as_slice())
            .bind(new.account.as_bytes().as_slice())
            .bind(bindable(new.size))
            .bind(bindable(new.at))
            .bind(bindable(new.at))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Blob::begun(&new))
    }

    async fn blob(&self, blob: BlobId, account: AccountId) -> Result<Blob> {
        readable(self.database.readers(), blob, account).await
    }

    async fn blob_advance(&self, blob: BlobId, account: AccountId, put: Put) -> Result<Blob> {
        let mut tx = self.database.write().await?;
        let found = readable(&mut *tx, blob, account).await?;
        let row = sqlx::query("SELECT count(*) AS chunks FROM blob_chunks WHERE blob_id = ?")
            .bind(blob.as_bytes().as_slice())
            .fetch_one(&mut *tx)
            .await?;
        let offset = advanced(&found, account, put, number(&row, "chunks")?)?;
        sqlx::query("INSERT INTO blob_chunks (blob_id, offset, length) VALUES (?, ?, ?)")
            .bind(blob.as_bytes().as_slice())
            .bind(bindable(put.chunk.offset))
            .bind(bindable(put.chunk.length))
            .execute(&mut *tx)
            .await?;
        sqlx::query("UPDATE blobs SET offset = ?, moved_at = max(moved_at, ?) WHERE id = ?")
            .bind(bindable(offset))
            .bind(bindable(put.at))
            .bind(blob.as_bytes().as_slice())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Blob { offset, ..found })
    }

    async fn blob_chunks(&self, blob: BlobId, offset: u64, length: u64) -> Result<Vec<Chunk>> {
        let rows =
            sqlx::query("SELECT offset, length FROM blob_chunks WHERE blob_id = ? AND offset < ? AND offset + length > ? ORDER BY offset")
                .bind(blob.as_bytes().as_slice())
                .bind(bindable(offset.saturating_add(length)))
                .bind(bindable(offset))
                .fetch_all(self.database.readers())
                .await?;
        rows.iter().map(read_chunk).collect()
    }
}

/// A blob of a conversation that the account is a member of.
async fn readable(executor: impl SqliteExecutor<'_>, blob: BlobId, account: AccountId) -> Result<Blob> {
    let row = sqlx::query(
        "SELECT coalesce(b.object_key, b.id) AS object_key, b.log_id, b.account_id, b.size, b.offset
         FROM blobs b JOIN members m ON m.log_id = b.log_id AND m.account_id = ? AND m.through_seq IS NULL
         WHERE b.id = ?",
    )
    .bind(account.as_bytes().as_slice())
    .bind(blob.as_bytes().as_slice())
    .fetch_optional(executor)
    .await?;
    decoded(&row.ok_or(Denied::NotFound(NO_BLOB))?)
}
