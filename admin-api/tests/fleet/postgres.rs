//! A fleet on PostgreSQL, which is killed while people chat, and whose password stays where it belongs.

use super::{
    harness::Fleet,
    outage::chat_through,
    secrets::{refusal, stays_out},
};
use fastchat_schema_testing::Server;
use std::{os::unix::fs::PermissionsExt, time::Duration};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_database_loses_nothing_and_doubles_nothing_and_everything_goes_on_by_itself() {
    let server = tokio::task::spawn_blocking(Server::start).await.unwrap();
    let fleet = Fleet::start_with(&["--database", &server.url("postgres")]);
    let away = async {
        server.kill();
        // Away for long enough that everybody notices.
        tokio::time::sleep(Duration::from_secs(1)).await;
        tokio::task::block_in_place(|| server.start_again());
    };
    chat_through(&fleet, 200, away).await;
}

#[test]
fn a_password_stays_out_of_arguments_logs_and_messages() {
    let server = Server::start();
    let password = "s3cret-of-the-database";
    let url = server.url("postgres").replace("postgres@", &format!("postgres:{password}@"));
    let fleet = Fleet::start_with(&["--servers", "1", "--database", &url]);
    // A server's spec alone has it, and that is its owner's.
    stays_out(&fleet, password, |file| file.ends_with("s1/spec.json"));
    let spec = fleet.data().join("processes/s1/spec.json");
    assert_eq!(std::fs::metadata(&spec).unwrap().permissions().mode() & 0o777, 0o600);
    let message = refusal("--database", &url.replace("/postgres?", "/nowhere?"), password);
    assert!(message.contains("nowhere"), "{message}");
}
