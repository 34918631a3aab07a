//! How blobs end.

use crate::store::{
    Result, SweepStore,
    blobs::ObjectKey,
    sweep::{Removal, Standing, Turn, is_paused, standing, turn_of_another},
    values::{bindable, id, number},
};
use async_trait::async_trait;
use fastchat_schema::Database;
use fastchat_wire::BlobId;
use sqlx::QueryBuilder;
use std::collections::HashSet;

#[async_trait]
impl SweepStore for Database {
    async fn sweep_turn(&self, server: &str, now: u64, until: u64) -> Result<Turn> {
        let mut tx = self.write().await?;
        let taken = sqlx::query(
            "UPDATE blob_sweep SET server = $1, until = $2
             WHERE (server = $1 OR until <= $3) AND paused_until <= $3 RETURNING walked_at",
        )
        .bind(server)
        .bind(bindable(until))
        .bind(bindable(now))
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(row) = taken {
            let walked_at = number(&row, "walked_at")?;
            tx.commit().await?;
            return Ok(Turn::Ours { walked_at });
        }
        let row = sqlx::query("SELECT paused_until FROM blob_sweep").fetch_one(&mut *tx).await?;
        turn_of_another(&row, now)
    }

    async fn sweep_done(&self, server: &str, walked_at: Option<u64>) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE blob_sweep SET until = 0, walked_at = coalesce($1, walked_at) WHERE server = $2")
            .bind(walked_at.map(bindable))
            .bind(server)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    async fn sweep_pause(&self, until: u64) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE blob_sweep SET paused_until = $1")
            .bind(bindable(until))
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    async fn blobs_due(&self, whole: bool, before: u64, limit: u32) -> Result<Vec<BlobId>> {
        let due = if whole {
            "SELECT id FROM blobs WHERE offset = size AND moved_at <= $1 AND created_at <= $1 ORDER BY moved_at LIMIT $2"
        } else {
            "SELECT id FROM blobs WHERE offset < size AND moved_at <= $1 AND created_at <= $1 ORDER BY moved_at LIMIT $2"
        };
        let rows = sqlx::query(due)
            .bind(bindable(before))
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await?;
        rows.iter().map(|row| id(row, "id")).collect()
    }

    async fn blobs_after(&self, after: Option<BlobId>, limit: u32) -> Result<Vec<Standing>> {
        let rows = sqlx::query(
            "SELECT b.id, coalesce(b.object_key, b.id) AS object_key, b.offset = b.size AS complete, b.lost_at,
                      EXISTS (SELECT 1 FROM members m WHERE m.log_id = b.log_id AND m.through_seq IS NULL) AS readable
               FROM blobs b WHERE $1 IS NULL OR b.id > $1 ORDER BY b.id LIMIT $2",
        )
        .bind(after.map(|blob| blob.0.to_vec()))
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(standing).collect()
    }

    async fn blob_lost(&self, key: ObjectKey, since: Option<u64>) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE blobs SET lost_at = $1 WHERE coalesce(object_key, id) = $2")
            .bind(since.map(bindable))
            .bind(key.0.as_slice())
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    async fn blob_remove(&self, blob: BlobId, why: Removal, before: u64, now: u64) -> Result<Option<ObjectKey>> {
        let mut tx = self.write().await?;
        let row = sqlx::query("SELECT paused_until FROM blob_sweep").fetch_one(&mut *tx).await?;
        if is_paused(&row, now)? {
            return Ok(None);
        }
        let removed = sqlx::query(removing(why))
            .bind(blob.0.as_slice())
            .bind(bindable(before))
            .fetch_optional(&mut *tx)
            .await?;
        let key = removed.map(|row| id(&row, "object_key")).transpose()?;
        tx.commit().await?;
        Ok(key)
    }

    async fn keys_of_blobs(&self, keys: &[ObjectKey]) -> Result<HashSet<ObjectKey>> {
        let mut query = QueryBuilder::new("SELECT coalesce(object_key, id) AS object_key FROM blobs WHERE coalesce(object_key, id) IN (");
        let mut list = query.separated(", ");
        for key in keys {
            list.push_bind(key.0.to_vec());
        }
        query.push(")");
        let rows = query.build().fetch_all(self.readers()).await?;
        rows.iter().map(|row| id(row, "object_key")).collect()
    }
}

/// Deletes a blob for as long as its reason holds.
fn removing(why: Removal) -> &'static str {
    match why {
        Removal::Unfinished => {
            "DELETE FROM blobs WHERE id = $1 AND offset < size AND moved_at <= $2 AND created_at <= $2
               RETURNING coalesce(object_key, id) AS object_key"
        }
        Removal::Aged => {
            "DELETE FROM blobs WHERE id = $1 AND offset = size AND moved_at <= $2 AND created_at <= $2
               RETURNING coalesce(object_key, id) AS object_key"
        }
        Removal::Unreadable => {
            "DELETE FROM blobs WHERE id = $1 AND $2 >= 0
                 AND NOT EXISTS (SELECT 1 FROM members m WHERE m.log_id = blobs.log_id AND m.through_seq IS NULL)
               RETURNING coalesce(object_key, id) AS object_key"
        }
        Removal::Lost => "DELETE FROM blobs WHERE id = $1 AND lost_at <= $2 RETURNING coalesce(object_key, id) AS object_key",
    }
}
