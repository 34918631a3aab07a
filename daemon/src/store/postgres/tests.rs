//! The conformance suite on PostgreSQL.

use super::{AppendPaths, PostgresStore};
use crate::store::{
    Store, StoreError,
    conformance::{
        drafts::{append, append_one},
        people::{converse, register},
    },
};
use fastchat_schema::{Opened, PostgresDatabase};
use fastchat_schema_testing::{Server, TestDatabase};
use fastchat_wire::chat::create::ConversationKind;
use prometheus::{IntCounterVec, Opts};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// Counters that nobody reads.
fn paths() -> AppendPaths {
    AppendPaths::new(&IntCounterVec::new(Opts::new("paths", "paths"), &["path"]).unwrap())
}

async fn connect(url: &str) -> PostgresDatabase {
    match fastchat_schema::open(url).await.unwrap() {
        Opened::Postgres(database) => database,
        Opened::Sqlite(_) => panic!("PostgreSQL was asked for"),
    }
}

/// Each store has connections of its own, as a process has.
macro_rules! flavour {
    ($(#[$what:meta])* $flavour:ident, $store:expr, $($part:ident)?) => {
        $(#[$what])*
        mod $flavour {
            use super::*;

            async fn store(database: &TestDatabase) -> Arc<dyn Store> {
                Arc::new($store(connect(&database.url()).await, paths()))
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

            crate::store::conformance::conformance!(
                $($part)? crate::store::postgres::tests::$flavour::open,
                crate::store::postgres::tests::$flavour::open_two
            );
        }
    };
}

flavour!(
    /// As servers run.
    remembering, PostgresStore::new,
);
flavour!(
    /// Each append by the locked path.
    asking, PostgresStore::forgetful, logs
);

/// The server of this test is its own: it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_is_unavailable_at_once_and_what_it_acknowledged_is_there_when_it_is_back() {
    let server = tokio::task::spawn_blocking(Server::start).await.unwrap();
    let url = server.url("postgres");
    fastchat_schema::migrate(&url).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(PostgresStore::new(connect(&url).await, paths()));
    let alice = register(&store, "alice").await;
    let log = converse(&store, &alice, ConversationKind::Group, &[]).await;
    let sent = append(&alice, log, "kept");
    let first = append_one(&store, sent.clone()).await.unwrap();

    server.kill();
    let lost = append(&alice, log, "in doubt");
    let error = store.append(std::slice::from_ref(&lost)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    // Each of these would wait for seconds by itself.
    let refused = async {
        for _ in 0..500 {
            let again = store.append(std::slice::from_ref(&lost)).await;
            assert!(matches!(again, Err(StoreError::Unavailable(_))), "{again:?}");
            assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
            let page = store.fetch(log, alice.actor(), 0, 1, 1).await;
            assert!(matches!(page, Err(StoreError::Unavailable(_))), "{page:?}");
        }
    };
    timeout(Duration::from_secs(60), refused).await.expect("refused at once");

    let server = tokio::task::spawn_blocking(move || {
        server.start_again();
        server
    })
    .await
    .unwrap();
    let answered = async {
        loop {
            if let Ok(answers) = store.append(std::slice::from_ref(&lost)).await {
                return answers;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let again = timeout(Duration::from_secs(60), answered).await.expect("it is found again");
    assert_eq!(again[0].as_ref().unwrap().seq, first.seq + 1);
    let duplicate = append_one(&store, sent).await.unwrap();
    assert_eq!((duplicate.seq, duplicate.duplicate), (first.seq, true));
    drop(server);
}
