//! A fleet on PostgreSQL, which is killed while people chat.

use super::{
    harness::{Fleet, Ports, try_up, until, walk},
    journey::{check_log, three},
};
use fastchat_schema_testing::Server;
use fastchat_wire::{LogId, chat::create::ConversationKind};
use std::{collections::HashMap, time::Duration};

/// Texts of each person before, while and after the database is away.
const EACH: u64 = 200;
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_database_loses_nothing_and_doubles_nothing_and_everything_goes_on_by_itself() {
    let server = tokio::task::spawn_blocking(Server::start).await.unwrap();
    let fleet = Fleet::start_with(&["--database", &server.url("postgres")]);
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
                server.kill();
                // Away for long enough that everybody notices.
                tokio::time::sleep(Duration::from_secs(1)).await;
                tokio::task::block_in_place(|| server.start_again());
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

    // The control plane too: it still writes.
    let rest = fleet.rest();
    until("all servers are ready, none was restarted", 15, async || {
        let servers = rest.servers().await?;
        let well = servers.iter().all(|server| server["state"] == "ready" && server["restarts"] == 0);
        (servers.len() == 3 && well).then_some(())
    })
    .await;
}

#[test]
fn a_password_stays_out_of_arguments_logs_and_messages() {
    let server = Server::start();
    let password = "s3cret-of-the-database";
    let url = server.url("postgres").replace("postgres@", &format!("postgres:{password}@"));
    let fleet = Fleet::start_with(&["--servers", "1", "--database", &url]);
    for process in &fleet.line.processes {
        let arguments = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap();
        assert!(!String::from_utf8_lossy(&arguments).contains(password), "{process:?}");
    }
    for file in walk(fleet.data()) {
        let text = std::fs::read(&file).unwrap_or_default();
        let told = String::from_utf8_lossy(&text).contains(password);
        // A server's spec alone has it, and that is its owner's.
        assert!(!told || file.ends_with("s1/spec.json"), "{}", file.display());
    }
    let spec = fleet.data().join("processes/s1/spec.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&spec).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    let folder = tempfile::tempdir().unwrap();
    let nowhere = url.replace("/postgres?", "/nowhere?");
    let Err(output) = try_up(folder.path(), Ports::free(), &["--database", &nowhere]) else {
        panic!("there is no such database")
    };
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("nowhere") && !message.contains(password), "{message}");
}
