//! Opening and migrating a PostgreSQL database, as an operator would meet it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use fastchat_schema::{OpenError, Opened, PostgresDatabase, known_version, migrate, open, wait_for_server};
use fastchat_schema_testing::{Server, TestDatabase};
use sqlx::{Connection, PgConnection};

async fn opened(url: &str) -> PostgresDatabase {
    match open(url).await.unwrap() {
        Opened::Postgres(database) => database,
        Opened::Sqlite(_) => panic!("PostgreSQL was asked for"),
    }
}

async fn execute(url: &str, sql: &'static str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn migrating_twice_or_from_several_sides_is_once_and_keeps_the_store_id() {
    let place = TestDatabase::empty().await;
    let url = place.url();
    let all = tokio::join!(migrate(&url), migrate(&url), migrate(&url));
    let from = [all.0, all.1, all.2].map(|done| done.unwrap().from);
    assert_eq!(from.iter().filter(|from| **from == 0).count(), 1, "{from:?}");
    let id = opened(&url).await.store_id().to_owned();
    assert_eq!(migrate(&url).await.unwrap().from, known_version());
    assert_eq!(opened(&url).await.store_id(), id);
    let (uuid, restores) = id.split_once('.').unwrap();
    assert_eq!(uuid::Uuid::parse_str(uuid).unwrap().get_version_num(), 7);
    assert_eq!(restores, "0");
}

#[tokio::test]
async fn what_is_not_ours_or_not_there_is_named_and_left_alone() {
    let place = TestDatabase::empty().await;
    let too_old = open(&place.url()).await.unwrap_err();
    assert!(matches!(too_old, OpenError::TooOld { found: 0, .. }), "{too_old}");
    execute(&place.url(), "CREATE TABLE somebody_elses (x int)").await;
    for error in [migrate(&place.url()).await.unwrap_err(), open(&place.url()).await.unwrap_err()] {
        assert!(matches!(error, OpenError::NotFastChat(_)), "{error}");
    }
    let nowhere = place.url().replace("/test_", "/nowhere_");
    let error = open(&nowhere).await.unwrap_err().to_string();
    assert!(error.contains("does not exist"), "{error}");
}

#[tokio::test]
async fn a_server_that_was_killed_is_waited_for() {
    let server = tokio::task::spawn_blocking(Server::start).await.unwrap();
    let url = server.url("postgres");
    migrate(&url).await.unwrap();
    server.kill();
    let opening = tokio::spawn(async move {
        wait_for_server(&url).await;
        open(&url).await
    });
    tokio::task::yield_now().await;
    let starting = tokio::task::spawn_blocking(move || {
        server.start_again();
        server
    });
    let _server = starting.await.unwrap();
    opening.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_schema_from_the_future_is_refused_with_both_versions() {
    let place = TestDatabase::migrated().await;
    execute(
        &place.url(),
        "INSERT INTO schema_migrations (version, name, compatible_from) VALUES (9999, 'future', 9999)",
    )
    .await;
    for error in [migrate(&place.url()).await.unwrap_err(), open(&place.url()).await.unwrap_err()] {
        let text = error.to_string();
        assert!(text.contains("9999") && text.contains(&known_version().to_string()), "{text}");
    }
}

#[tokio::test]
async fn every_connection_keeps_what_it_acknowledges_and_waits_a_bounded_time() {
    let place = TestDatabase::migrated().await;
    execute(
        &place.url(),
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$",
    )
    .await;
    let database = opened(&place.url()).await;
    let setting = |name: &'static str| {
        let pool = database.pool().clone();
        async move {
            let value: String = sqlx::query_scalar("SELECT current_setting($1)")
                .bind(name)
                .fetch_one(&pool)
                .await
                .unwrap();
            value
        }
    };
    assert_eq!(setting("synchronous_commit").await, "on");
    assert_eq!(setting("transaction_isolation").await, "read committed");
    for bound in ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"] {
        assert_ne!(setting(bound).await, "0", "{bound}");
    }
}
