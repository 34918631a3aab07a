//! A fleet on a NATS broker, which is killed while people chat.

use super::{
    harness::{Fleet, Ports, try_up, until, walk},
    journey::{check_log, three},
};
use fastchat_wire::{LogId, chat::create::ConversationKind};
use fastchatd_testing::NatsServer;
use std::{collections::HashMap, time::Duration};

/// Texts of each person before, while and after the broker is away.
const EACH: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_loses_nothing_and_doubles_nothing_and_nobody_is_restarted() {
    let mut broker = NatsServer::start();
    let fleet = Fleet::start_with(&["--bus", &broker.url()]);
    let [mut alice, mut bob, mut carol] = three(&fleet).await;
    let others = [bob.me.account, carol.me.account];
    let group = alice.client().create(ConversationKind::Group, &others).await.expect("a group");
    let mut last = 1;
    for round in 0..3 {
        for user in [&mut alice, &mut bob, &mut carol] {
            user.follow(group);
            for n in 0..EACH {
                user.write(group, format!("round {round}, text {n}"));
            }
        }
        last += 3 * EACH;
        let expected: HashMap<LogId, u64> = [(group, last)].into();
        let killing = async {
            if round == 1 {
                tokio::task::block_in_place(|| broker.kill());
                // Away for long enough that everybody notices.
                tokio::time::sleep(Duration::from_millis(1_500)).await;
                tokio::task::block_in_place(|| broker.restart());
            }
        };
        tokio::join!(
            alice.run(&expected, PATIENCE),
            bob.run(&expected, PATIENCE),
            carol.run(&expected, PATIENCE),
            killing
        );
    }
    let texts = usize::try_from(3 * 3 * EACH).unwrap();
    let mut reader = match alice.client.take() {
        Some(client) => client,
        None => {
            alice.come_back().await.expect("alice is served");
            alice.client.take().expect("alice is online")
        }
    };
    check_log(&mut reader, group, &[&alice, &bob, &carol], texts).await;
    let rest = fleet.rest();
    until("all servers are ready, none was restarted", 15, async || {
        let servers = rest.servers().await?;
        let well = servers.iter().all(|server| server["state"] == "ready" && server["restarts"] == 0);
        (servers.len() == 3 && well).then_some(())
    })
    .await;
}

#[test]
fn a_broker_s_password_stays_out_of_arguments_logs_and_messages() {
    let password = "s3cret-of-the-broker";
    let broker = NatsServer::start_with(&format!("authorization {{ user: chat, password: \"{password}\" }}"));
    let url = broker.url_with(&format!("chat:{password}"));
    let fleet = Fleet::start_with(&["--servers", "1", "--bus", &url]);
    for process in &fleet.line.processes {
        let arguments = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap();
        assert!(!String::from_utf8_lossy(&arguments).contains(password), "{process:?}");
    }
    for file in walk(fleet.data()) {
        let text = std::fs::read(&file).unwrap_or_default();
        let told = String::from_utf8_lossy(&text).contains(password);
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The control plane's database, and the spec of a server that is its owner's alone.
        assert!(!told || file.ends_with("s1/spec.json") || name.starts_with("fastchat.db"), "{name}");
    }

    let folder = tempfile::tempdir().unwrap();
    let wrong = url.replace("nats://", "redis://");
    let Err(output) = try_up(folder.path(), Ports::free(), &["--bus", &wrong]) else {
        panic!("there is no such bus")
    };
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("nats://HOST:PORT") && !message.contains(password), "{message}");
}
