//! What keeps a process from starting: one clear line, an exit code, nothing half started.

use super::fleet::{ControlPlane, Host, agent_spec, signal, start, stop};
use rustix::process::Signal;
use std::process::{Command, Output};

fn fails(command: &mut Command, code: i32, words: &str) {
    let Output { status, stderr, stdout } = command.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{stderr}");
    assert!(stdout.is_empty());
    let complaints: Vec<&str> = stderr.lines().filter(|line| line.starts_with("fastchatd: ")).collect();
    assert!(complaints.len() == 1 && complaints[0].contains(words), "{stderr}");
}

fn spec_file(host: &Host, probe_listen: &str) -> std::path::PathBuf {
    std::fs::create_dir_all(host.data()).unwrap();
    let file = host.data().join("wanted.json");
    let spec = agent_spec("a", 1, probe_listen, "http://127.0.0.1:9", &[("s1", 0)]);
    std::fs::write(&file, serde_json::to_vec(&spec).unwrap()).unwrap();
    file
}

#[test]
fn a_probe_port_in_use_is_named_and_nothing_is_started() {
    let host = Host::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = spec_file(&host, &address);
    fails(host.agent().arg("--spec").arg(file), 1, &format!("port {address} is in use"));
    assert!(!host.runs("s1") && !host.runs(super::fleet::HOST));
}

#[tokio::test]
async fn a_second_agent_on_the_same_folder_is_refused() {
    let (plane, host) = (ControlPlane::start().await, Host::new());
    plane.want("a", 1, &[]);
    let agent = host.start_agent(&plane, &[]);
    plane.told("it runs", |status, _| status.applied_generation == 1).await;
    let file = spec_file(&host, "127.0.0.1:0");
    fails(
        host.agent().arg("--spec").arg(file),
        1,
        &format!("in use by process {}", agent.id()),
    );
    stop(agent).await;
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let host = Host::new();
    let file = spec_file(&host, "127.0.0.1:0");
    let mut command = host.agent();
    command.arg("--spec").arg(&file).env("FASTCHAT_DATA", "/ignored");
    let nowhere = file.join("below-a-file");
    let mut command = Command::new(command.get_program());
    command
        .args(["agent", "--name", "h1", "--spec"])
        .arg(&file)
        .arg("--data")
        .arg(nowhere);
    fails(&mut command, 1, "give another folder");
}

#[test]
fn wrong_options_end_with_2() {
    let host = Host::new();
    fails(&mut host.agent(), 2, "--control (with --token-file) or --spec is missing");
    fails(
        host.agent().args(["--control", "ftp://x", "--token-file", "x"]),
        2,
        "give http://HOST:PORT",
    );
    fails(
        host.agent().args(["--spec", "x"]).env("FASTCHAT_LOG_FORMAT", "xml"),
        2,
        "FASTCHAT_LOG_FORMAT",
    );
}

#[test]
fn another_process_s_spec_is_refused() {
    let host = Host::new();
    let file = spec_file(&host, "127.0.0.1:0");
    let mut command = Command::new(host.agent().get_program());
    command
        .args(["agent", "--name", "h2", "--spec"])
        .arg(file)
        .arg("--data")
        .arg(host.data());
    fails(&mut command, 1, "the spec is for agent h1, this is agent h2");
}

#[test]
fn a_database_is_migrated_and_one_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let migrate = |file: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fastchatd"));
        command
            .args(["migrate", "--database"])
            .arg(format!("sqlite:{}/{file}", folder.path().display()));
        command
    };
    for _ in 0..2 {
        assert!(migrate("fastchat.db").output().unwrap().status.success());
    }
    std::fs::write(
        folder.path().join("text.db"),
        "no database, only some words that are long enough for one",
    )
    .unwrap();
    fails(&mut migrate("text.db"), 1, "can't migrate");
}

#[tokio::test]
async fn systemd_is_told_ready_alive_and_stopping() {
    let host = Host::new();
    let file = spec_file(&host, "127.0.0.1:0");
    let socket = host.data().join("notify");
    let systemd = tokio::net::UnixDatagram::bind(&socket).unwrap();
    let mut command = host.agent();
    command.arg("--spec").arg(file).arg("--stop-children");
    let agent = start(command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "300000"));
    let hears = async |word: &str| {
        let mut bytes = [0; 1_024];
        let heard = async {
            loop {
                let length = systemd.recv(&mut bytes).await.unwrap();
                if String::from_utf8_lossy(&bytes[..length]).lines().any(|line| line == word) {
                    return;
                }
            }
        };
        let within = std::time::Duration::from_secs(20);
        assert!(tokio::time::timeout(within, heard).await.is_ok(), "{word} was not told");
    };
    for word in ["READY=1", "WATCHDOG=1", "WATCHDOG=1"] {
        hears(word).await;
    }
    let ended = tokio::spawn(stop(agent));
    hears("STOPPING=1").await;
    assert_eq!(ended.await.unwrap().0, Some(0));
}

#[tokio::test]
async fn two_signals_at_once_are_one_soft_stop() {
    let (plane, host) = (ControlPlane::start().await, Host::new());
    plane.want("a", 1, &[("s1", 0), ("s2", 0), ("s3", 0)]);
    let agent = host.start_agent(&plane, &["--stop-children"]);
    plane
        .told("all run", |_, told| told.instances.iter().filter(|i| i.pid.is_some()).count() == 3)
        .await;
    signal(agent.id(), Signal::INT);
    assert_eq!(stop(agent).await.0, Some(0));
}
