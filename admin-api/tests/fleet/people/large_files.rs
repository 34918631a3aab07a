//! Large files: whoever dies on the way, they arrive once, byte for byte, and what is there is not moved again.

use super::{
    super::{
        harness::{signal, walk},
        rest::http,
    },
    People, eventually, noise,
    person::Person,
    text_of,
};
use fastchat_client::Fault;
use serde_json::Value;
use std::{fs, path::Path};

/// The largest file that a fleet takes where nothing else is said.
const LARGEST: usize = 64 << 20;
/// Enough of a file to die in the middle of it.
const SOME: u64 = 4 << 20;

/// Bytes in a folder.
fn bytes_in(folder: &Path) -> u64 {
    if !folder.exists() {
        return 0;
    }
    // What is listed may be gone by now.
    walk(folder).iter().filter_map(|path| Some(fs::metadata(path).ok()?.len())).sum()
}

impl People {
    /// Bytes of blobs on the servers.
    fn kept(&self) -> u64 {
        bytes_in(&self.fleet.data().join("blobs"))
    }

    fn wait_until_kept(&self, bytes: u64) {
        eventually(&format!("{bytes} bytes on the servers"), || (self.kept() >= bytes).then_some(()));
    }

    /// The sum of a metric over the servers that live.
    fn counted(&self, name: &str) -> u64 {
        let servers = self.fleet.line.processes.iter().filter(|process| process.role == "server");
        let value = |page: &str| {
            let line = page.lines().find(|line| line.starts_with(name))?;
            line.rsplit(' ').next()?.parse::<f64>().ok()
        };
        // One that was killed may not be back yet.
        let page = async |address: &str| {
            let host = address.trim_start_matches("http://");
            http().get(format!("http://{host}/metrics")).send().await.ok()?.text().await.ok()
        };
        let counted = servers.filter_map(|server| value(&self.runtime.block_on(page(&server.http))?));
        counted.sum::<f64>() as u64
    }

    /// SIGKILL to the server that most are on, whichever process it is by now.
    fn kill_the_busiest(&self) {
        let name = self.wire.busiest();
        let pid = self.runtime.block_on(self.fleet.rest().server(&name)).expect("a server")["pid"].clone();
        signal(u32::try_from(pid.as_u64().expect("a pid")).expect("a pid"), "KILL");
    }
}

impl Person {
    fn wait_until_received(&self, bytes: u64) {
        let partial = self.profile.join("partial");
        eventually(&format!("{bytes} bytes received"), || (bytes_in(&partial) >= bytes).then_some(()));
    }
}

fn path_of(line: &Value) -> &str {
    line["file"]["path"].as_str().unwrap_or_else(|| panic!("no path: {line}"))
}

#[test]
fn the_largest_file_arrives_byte_for_byte_though_servers_are_killed_on_both_ways() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let content = noise(LARGEST, 1);
    let file = people.file("large.bin", &content);
    let sending = alice.start(&["send", "@bob", "--file", text_of(&file)]);
    people.wait_until_kept(SOME);
    people.kill_the_busiest();
    people.wait_until_kept(LARGEST as u64);
    let sent = sending.finish().succeeds();
    assert_eq!(sent.len(), 1);
    assert_eq!(people.counted("fastchat_server_blob_bytes_in_memory"), 0, "given back");

    let receiving = bob.start(&["listen", "--count", "1", "--for", "600"]);
    bob.wait_until_received(SOME);
    people.kill_the_busiest();
    bob.wait_until_received(LARGEST as u64);
    let heard = receiving.finish().succeeds();
    assert!(fs::read(path_of(&heard[0])).unwrap() == content);
    assert_eq!(bytes_in(&alice.profile.join("uploads")), 0, "nothing is left of the way up");
    assert_eq!(bytes_in(&bob.profile.join("partial")), 0, "nor of the way down");
}

#[test]
fn a_sender_that_died_goes_on_and_sends_one_message() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let content = noise(LARGEST / 2, 2);
    let file = people.file("half.bin", &content);
    let send = ["send", "@bob", "--file", text_of(&file)];
    let sending = alice.start(&send);
    people.wait_until_kept(SOME);
    sending.kill();
    // Whole this time, and dead before its message.
    alice.dies_at(Fault::Uploaded, &send);
    let kept = people.kept();
    alice.ok(&send);
    assert_eq!(people.kept(), kept, "nothing is uploaded again");
    let stored = people.counted("fastchat_server_blob_bytes_in_total");
    assert!(stored < (content.len() as u64) + SOME, "each byte went up once: {stored}");
    let heard = bob.hears(1);
    assert!(fs::read(path_of(&heard[0])).unwrap() == content);
    bob.hears_nothing_more();

    // The same file again is another message, and so is a file that was changed.
    alice.ok(&send);
    fs::write(&file, b"changed").unwrap();
    alice.ok(&send);
    let heard = bob.hears(2);
    assert!(fs::read(path_of(&heard[0])).unwrap() == content);
    assert_eq!(fs::read(path_of(&heard[1])).unwrap(), b"changed");
}

#[test]
fn a_receiver_that_died_fetches_only_what_is_missing() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let content = noise(LARGEST / 2, 3);
    let file = people.file("half.bin", &content);
    let seq = alice.ok(&["send", "@bob", "--file", text_of(&file)])[0]["seq"].to_string();
    let receiving = bob.listens_for(1);
    bob.wait_until_received(SOME);
    receiving.kill();
    let there = bytes_in(&bob.profile.join("partial"));
    assert!(there >= SOME, "{there}");
    let before = people.counted("fastchat_server_blob_bytes_out_total");
    let saved = bob.ok(&["save", "@alice", &seq]);
    assert!(fs::read(path_of(&saved[0])).unwrap() == content);
    let fetched = people.counted("fastchat_server_blob_bytes_out_total") - before;
    assert!(
        fetched < content.len() as u64 - there + SOME,
        "{there} were there, {fetched} were fetched"
    );
}
