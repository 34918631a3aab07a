//! A fleet on a NATS broker: killed while people chat, with a password, and by TLS with credentials.

use super::{
    harness::{Fleet, admin_binary, until},
    outage::chat_through,
    secrets::{refusal, stays_out},
};
use fastchatd_testing::{NatsOperator, NatsServer};
use std::{process::Command, time::Duration};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_loses_nothing_and_doubles_nothing_and_nobody_is_restarted() {
    let mut broker = NatsServer::start();
    let fleet = Fleet::start_with(&["--bus", &broker.url()]);
    let away = async {
        tokio::task::block_in_place(|| broker.kill());
        // Away for long enough that everybody notices.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        tokio::task::block_in_place(|| broker.restart());
    };
    chat_through(&fleet, 100, away).await;
}

#[test]
fn a_broker_s_password_stays_out_of_arguments_logs_and_messages() {
    let password = "s3cret-of-the-broker";
    let broker = NatsServer::start_with(&format!("authorization {{ user: chat, password: \"{password}\" }}"));
    let url = broker.url_with(&format!("chat:{password}"));
    let fleet = Fleet::start_with(&["--servers", "1", "--bus", &url]);
    stays_out(&fleet, password, |file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // The control plane's database, and the spec of a server that is its owner's alone.
        file.ends_with("s1/spec.json") || name.starts_with("fastchat.db")
    });
    let message = refusal("--bus", &url.replace("nats://", "redis://"), password);
    assert!(message.contains("nats://HOST:PORT"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_meet_on_a_broker_with_tls_and_signed_logins() {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new(admin_binary())
        .args(["certificates", "create", "--folder"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = |name: &str| folder.path().join(name).display().to_string();
    let operator = NatsOperator::new();
    std::fs::write(file("bus.creds"), operator.credentials()).unwrap();
    let broker = NatsServer::start_with(&format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", timeout: 10 }}\n{}",
        file("fleet.pem"),
        file("fleet.key"),
        operator.configuration()
    ));
    let url = broker.url_by_tls(&format!("ca={}&credentials={}", file("ca.pem"), file("bus.creds")));
    let fleet = Fleet::start_with(&["--servers", "2", "--bus", &url]);
    for server in ["s1", "s2"] {
        let http = &fleet
            .line
            .processes
            .iter()
            .find(|process| process.name == server)
            .expect("its process")
            .http;
        until("the server is on the broker", 20, async || {
            let (_, text) = super::rest::probe(http, "/metrics").await;
            text.contains("fastchat_server_bus_connected 1").then_some(())
        })
        .await;
    }
}
