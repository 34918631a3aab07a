//! The conformance suite on SQLite.

use super::SqliteStore;
use crate::store::Store;
use std::{path::Path, sync::Arc};
use tempfile::TempDir;

/// A store on the folder's database, with files of its own, as a process has.
async fn store(folder: &Path) -> Arc<dyn Store> {
    let url = format!("sqlite:{}", folder.join("fastchat.db").display());
    fastchat_schema::migrate(&url).await.unwrap();
    let database = fastchat_schema::Database::open(&url).await.unwrap();
    Arc::new(SqliteStore::new(database))
}

/// An empty store, and the folder that it lives in.
async fn open() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (store(folder.path()).await, folder)
}

/// Two of them on the same folder.
async fn open_two() -> ([Arc<dyn Store>; 2], TempDir) {
    let (one, folder) = open().await;
    ([one, store(folder.path()).await], folder)
}

crate::store::conformance::conformance!(crate::store::sqlite::tests::open, crate::store::sqlite::tests::open_two);
