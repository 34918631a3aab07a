//! What keeps a fleet from starting: one clear line, no process left behind.

use super::harness::{Fleet, Ports, try_up};
use std::{net::TcpListener, path::Path, process::Output};

fn refused(data: &Path, ports: &Ports, more: &[&str]) -> Output {
    match try_up(data, ports, more) {
        Err(output) => {
            assert_ne!(output.status.code(), Some(0));
            output
        }
        Ok((mut up, line)) => {
            let _ = up.kill();
            panic!("it started: {line:?}")
        }
    }
}

/// The one line for people; logs may precede it.
fn last_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr)
        .lines()
        .last()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn whoever_looks_for_ports_at_the_same_moment_gets_others() {
    let (one, other) = (Ports::free(), Ports::free());
    assert_ne!(one.0, other.0);
}

#[test]
fn a_port_in_use_is_named_and_nothing_is_started() {
    let folder = tempfile::tempdir().unwrap();
    for offset in [0, 1, 2, 3, 4, 10, 11, 12, 30] {
        let ports = Ports::free();
        let taken = ports.0 + offset;
        let _holder = TcpListener::bind(("127.0.0.1", taken)).expect("a free port");
        let output = refused(folder.path(), &ports, &[]);
        assert!(
            last_line(&output).contains(&taken.to_string()),
            "port {taken}: {}",
            last_line(&output)
        );
    }
    // The same folder starts once the ports are free.
    let fleet = Fleet::start_in(folder, Ports::free(), &[]);
    assert_eq!(fleet.line.servers.len(), 3);
}

#[test]
fn a_folder_that_is_no_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let output = refused(&file.join("data"), &Ports::free(), &[]);
    assert!(last_line(&output).contains("file"), "{}", last_line(&output));
}

#[test]
fn a_second_fleet_on_the_same_folder_is_refused() {
    let fleet = Fleet::start_with(&["--servers", "1"]);
    let output = refused(fleet.data(), &Ports::free(), &[]);
    let line = last_line(&output);
    assert!(line.contains(&fleet.data().display().to_string()), "{line}");
}

#[tokio::test]
async fn a_schema_that_is_not_known_is_refused_with_both_versions() {
    let fleet = Fleet::start_with(&["--servers", "1"]);
    let (folder, ports, _) = fleet.stop();
    let url = format!("sqlite:{}", folder.path().join("fastchat.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.expect("the database");
    // As a later release would leave it.
    sqlx::query("INSERT INTO schema_migrations (version, name, compatible_from) VALUES (9999, 'from the future', 9999)")
        .execute(&pool)
        .await
        .expect("a migration more");
    pool.close().await;
    let output = refused(folder.path(), &ports, &[]);
    assert!(last_line(&output).contains("9999"), "{}", last_line(&output));
}
