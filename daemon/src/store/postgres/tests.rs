//! The conformance suite on PostgreSQL.

use super::PostgresStore;
use crate::store::Store;
use fastchat_schema::Opened;
use fastchat_schema_testing::TestDatabase;
use std::sync::Arc;

/// A store with connections of its own, as a process has.
async fn store(database: &TestDatabase) -> Arc<dyn Store> {
    match fastchat_schema::open(&database.url()).await.unwrap() {
        Opened::Postgres(database) => Arc::new(PostgresStore::new(database)),
        Opened::Sqlite(_) => panic!("PostgreSQL was asked for"),
    }
}

/// An empty store, and its database.
async fn open() -> (Arc<dyn Store>, TestDatabase) {
    let database = TestDatabase::migrated().await;
    (store(&database).await, database)
}

/// Two of them on the same database.
async fn open_two() -> ([Arc<dyn Store>; 2], TestDatabase) {
    let (one, database) = open().await;
    ([one, store(&database).await], database)
}

crate::store::conformance::conformance!(crate::store::postgres::tests::open, crate::store::postgres::tests::open_two);
