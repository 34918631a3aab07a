//! The conformance suite on SQLite.

use super::SqliteStore;
use crate::store::Store;
use std::sync::Arc;

/// An empty store, and the folder that it lives in.
async fn open() -> (Arc<dyn Store>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("fastchat.db").display());
    fastchat_schema::migrate(&url).await.unwrap();
    let database = fastchat_schema::Database::open(&url).await.unwrap();
    (Arc::new(SqliteStore::new(database)), folder)
}

crate::store::conformance::conformance!(crate::store::sqlite::tests::open);
