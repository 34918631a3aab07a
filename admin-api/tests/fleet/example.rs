//! The example client in another language, against a real fleet.

use super::harness::Fleet;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

struct Python<'a> {
    fleet: &'a Fleet,
    session: PathBuf,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/examples/raw_client.py")
}

impl Python<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("python3");
        let options = [
            "--balancer",
            self.fleet.balancer(),
            "--json",
            "--session",
            self.session.to_str().unwrap(),
        ];
        command.arg(script()).args(arguments).args(options);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("python3 runs: apt-get install python3")
    }

    fn ok(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).expect("text");
        serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
    }
}

#[test]
fn the_python_client_registers_creates_appends_and_listens() {
    let fleet = Fleet::start();
    let folder = tempfile::tempdir().unwrap();
    let person = |name: &str| Python {
        fleet: &fleet,
        session: folder.path().join(name),
    };
    let (alice, bob) = (person("alice"), person("bob"));

    let assigned = alice.ok(&["assign"]);
    assert!(fleet.line.servers.iter().any(|server| server.address == assigned["address"]));
    alice.ok(&["register", "alice"]);
    bob.ok(&["register", "bob"]);
    let conversation = alice.ok(&["create", "--direct", "@bob"])["conversation"]
        .as_str()
        .unwrap()
        .to_owned();

    let mut listen = bob
        .command(&["listen", "--count", "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(listen.stderr.as_mut().unwrap()), &mut ready).unwrap();
    assert!(ready.contains("listening"), "{ready}");
    for text in ["hello", "good-bye"] {
        alice.ok(&["append", &conversation, text]);
    }
    let heard = listen.wait_with_output().unwrap();
    assert!(heard.status.success());
    let texts: Vec<Value> = String::from_utf8(heard.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["text"].clone())
        .collect();
    assert_eq!(texts, ["hello", "good-bye"]);

    let refused = alice.run(&["append", "01890000-0000-7000-8000-000000000000", "no such log"]);
    assert_eq!(refused.status.code(), Some(1), "refused");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not-member"));
    assert_eq!(alice.run(&["append"]).status.code(), Some(2), "usage");
    let nobody = Command::new("python3")
        .arg(script())
        .args(["assign", "--balancer", "127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(3), "can't connect");
}
