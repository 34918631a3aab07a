//! A fleet that speaks TLS: nothing of it is plain, people need its CA and nothing else, and who is wrong is told so.

use super::harness::{Fleet, admin_binary, binary};
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    process::{Command, Output},
    sync::{Arc, Mutex},
    thread::spawn,
    time::Duration,
};

/// A TLS connection begins with this byte.
const HANDSHAKE: u8 = 0x16;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

type Tapes = Arc<Mutex<Vec<Vec<u8>>>>;

/// Carries both ways between whoever dials it and `target`; both directions of each connection are on a tape.
fn recording_relay(target: &str) -> (String, Tapes) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (target, tapes) = (target.to_owned(), Tapes::default());
    let recorded = Arc::clone(&tapes);
    spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let fleet = TcpStream::connect(&target).unwrap();
            for (from, to) in [(&client, &fleet), (&fleet, &client)] {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                let tape = {
                    let mut tapes = recorded.lock().unwrap();
                    tapes.push(Vec::new());
                    tapes.len() - 1
                };
                let recorded = Arc::clone(&recorded);
                spawn(move || {
                    let mut bytes = [0; 4096];
                    while let Ok(read) = from.read(&mut bytes)
                        && read > 0
                    {
                        recorded.lock().unwrap()[tape].extend(&bytes[..read]);
                        if to.write_all(&bytes[..read]).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    (address, tapes)
}

/// Runs `fastchat` with a profile of that name.
fn fastchat(folder: &Path, name: &str, arguments: &[&str]) -> Output {
    Command::new(binary("fastchat"))
        .env_clear()
        .env("HOME", folder)
        .env("FASTCHAT_PASSWORD", format!("correct horse battery {name}"))
        .arg("--profile")
        .arg(folder.join(name))
        .arg("--json")
        .args(arguments)
        .output()
        .expect("fastchat starts")
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn ok(output: Output) -> String {
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What a listener says to who speaks in the clear.
fn answer_in_the_clear(address: &str, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(request).unwrap();
    let mut answer = Vec::new();
    // It may end in a reset; what was said before that counts.
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn people_chat_over_tls_with_the_fleets_ca_and_nothing_on_the_way_is_plain() {
    let fleet = Fleet::start_with(&["--servers", "2", "--tls"]);
    let tls = fleet.line.tls.as_ref().expect("the fleet speaks TLS");
    assert_eq!(tls.name, "localhost");
    let ca = tls.ca.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (relay, tapes) = recording_relay(fleet.balancer());

    // On two servers: what one says to the other crosses the mesh.
    for name in ["alice", "bob"] {
        ok(fastchat(folder.path(), name, &["register", name, "--balancer", &relay, "--ca", ca]));
    }
    let bob = folder.path().to_owned();
    let listening = spawn(move || ok(fastchat(&bob, "bob", &["listen", "--count", "2", "--for", "50"])));
    // Balancer and CA are kept in the profile.
    ok(fastchat(folder.path(), "alice", &["send", "@bob", "nobody on the way reads this"]));
    ok(fastchat(folder.path(), "alice", &["send", "@bob", "nor this"]));
    let heard = listening.join().unwrap();
    assert!(
        heard.contains("nobody on the way reads this") && heard.contains("nor this"),
        "{heard}"
    );

    let tapes = tapes.lock().unwrap();
    assert!(tapes.len() >= 8, "all went through the relay: {}", tapes.len());
    for tape in tapes.iter() {
        assert!(tape.is_empty() || tape[0] == HANDSHAKE, "{:?}", String::from_utf8_lossy(tape));
        for plain in [&b"\"op\""[..], b"\"re\"", b"assign", b"ticket", b"alice"] {
            assert!(
                !tape.windows(plain.len()).any(|window| window == plain),
                "{}",
                String::from_utf8_lossy(tape)
            );
        }
    }
}

#[test]
fn whoever_speaks_in_the_clear_or_trusts_somebody_else_is_told_what_to_do() {
    let fleet = Fleet::start_with(&["--servers", "1", "--tls"]);
    let port = fleet.ports.0;
    let hello = b"\x00\x2d{\"op\":\"hello\",\"id\":1,\"version\":1,\"agent\":\"x\"}";
    // Balancer, its links, the server, its bus.
    for offset in [1, 2, 10, 11] {
        let answer = answer_in_the_clear(&format!("127.0.0.1:{}", port + offset), hello);
        assert!(
            answer.contains("\"re\":null") && answer.contains("speaks TLS only"),
            "{offset}: {answer}"
        );
    }
    let answer = answer_in_the_clear(&format!("127.0.0.1:{port}"), b"GET /v1/servers HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("https://"), "{answer}");

    let folder = tempfile::tempdir().unwrap();
    let register = |more: &[&str]| {
        fastchat(
            folder.path(),
            "alice",
            &[&["register", "alice", "--balancer", fleet.balancer()], more].concat(),
        )
    };
    let plain = register(&[]);
    assert_eq!(plain.status.code(), Some(1));
    assert!(said(&plain).contains("--tls, and --ca FILE"), "{}", said(&plain));
    let other_ca = Command::new(admin_binary())
        .args(["certificates", "create", "--json", "--folder"])
        .arg(folder.path().join("other"))
        .output()
        .unwrap();
    let other_ca: serde_json::Value = serde_json::from_str(&ok(other_ca)).unwrap();
    let stranger = register(&["--ca", other_ca["ca"].as_str().unwrap()]);
    assert_eq!(stranger.status.code(), Some(3));
    assert!(
        said(&stranger).contains("not from a CA that is trusted here"),
        "{}",
        said(&stranger)
    );
    let missing = register(&["--ca", "/nowhere/ca.pem"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(said(&missing).contains("/nowhere/ca.pem"), "{}", said(&missing));
}

#[test]
fn operators_the_load_generator_and_the_client_in_python_use_the_same_ca() {
    let fleet = Fleet::start_with(&["--servers", "1", "--tls"]);
    let ca = &fleet.line.tls.as_ref().unwrap().ca;
    assert!(fleet.line.admin.starts_with("https://127.0.0.1:"), "{}", fleet.line.admin);
    let list = |more: &[&str]| {
        Command::new(admin_binary())
            .args(["servers", "list", "--json", "--url", &fleet.line.admin, "--token-file"])
            .arg(&fleet.line.token_file)
            .args(more)
            .output()
            .unwrap()
    };
    assert!(ok(list(&["--ca", ca.to_str().unwrap()])).contains("\"s1\""));
    let stranger = list(&[]);
    assert_eq!(stranger.status.code(), Some(3), "{}", said(&stranger));

    let python = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/examples/raw_client.py"))
        .args(["demo", "--balancer", fleet.balancer(), "--ca"])
        .arg(ca)
        .output()
        .expect("python3 starts");
    assert!(ok(python).contains("Hello, Bob!"));

    let load = Command::new(binary("fastchat-load"))
        .args(["pairs", "--pairs", "2", "--seconds", "1", "--warmup", "0", "--json"])
        .args(["--balancer", fleet.balancer(), "--admin-url", &fleet.line.admin, "--token-file"])
        .arg(&fleet.line.token_file)
        .arg("--ca")
        .arg(ca)
        .output()
        .unwrap();
    let figures: serde_json::Value = serde_json::from_str(&ok(load)).unwrap();
    assert_eq!(figures["missing"], 0, "{figures}");
    assert!(
        figures["delivered"].as_u64() > Some(0) || figures["delivered_per_s"].as_f64() > Some(0.0),
        "{figures}"
    );
}

#[test]
fn an_operators_own_certificate_needs_no_address_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new(admin_binary())
        .args(["certificates", "create", "--name", "chat.example.org", "--folder"])
        .arg(folder.path())
        .output()
        .unwrap();
    let guide = ok(made);
    assert!(guide.contains("--tls-name chat.example.org"), "{guide}");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key, ca) = (file("fleet.pem"), file("fleet.key"), file("ca.pem"));
    let fleet = Fleet::start_with(&[
        "--servers",
        "2",
        "--tls-certificate",
        &certificate,
        "--tls-key",
        &key,
        "--tls-ca",
        &ca,
        "--tls-name",
        "chat.example.org",
    ]);
    assert_eq!(fleet.line.tls.as_ref().unwrap().name, "chat.example.org");
    ok(fastchat(
        folder.path(),
        "alice",
        &["register", "alice", "--balancer", fleet.balancer(), "--ca", &ca],
    ));
}

#[test]
fn what_would_be_plain_beyond_this_machine_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let up = Command::new(admin_binary())
        .args(["up", "--balancer-listen", "192.0.2.7:7101", "--data"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(!up.status.success());
    let line = said(&up);
    assert!(line.contains("--tls, or --allow-plaintext"), "{line}");
}
