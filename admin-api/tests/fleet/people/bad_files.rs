//! Files that can't be sent.

use super::{PATIENCE, People, text_of, texts};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

/// The most that a fleet takes of one file, as it is stored: 64 MiB.
const BLOB_BYTES_MAX: u64 = 64 << 20;

#[test]
fn a_file_that_can_not_be_sent_is_refused_by_name_and_nothing_of_it_is_sent() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let too_large = people.file("too-large.bin", b"");
    File::options()
        .write(true)
        .open(&too_large)
        .unwrap()
        .set_len(BLOB_BYTES_MAX + 1)
        .unwrap();
    let closed = people.file("closed.txt", b"nobody may read this");
    fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
    let folder = people.folder.path().join("a-folder");
    fs::create_dir(&folder).unwrap();
    // A folder may be taken for a mistake in the command.
    let mut files = vec![
        too_large,
        people.folder.path().join("missing.txt"),
        folder,
        people.folder.path().join("alice/store.db/within"),
        // A file that says that it is one, and does not give a byte.
        "/proc/self/mem".into(),
    ];
    // To root every file is open.
    if File::open(&closed).is_err() {
        files.push(closed);
    }
    for file in &files {
        let (_, message) = alice.run(&["send", "@bob", "--file", text_of(file)]).declined().error();
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(message.contains(name), "the message says which file: {message}");
    }
    let good = people.file("good.txt", b"a good file");
    // One bad file among good ones: nothing is sent, neither text nor file.
    let missing = text_of(&files[1]);
    alice
        .run(&["send", "@bob", "with this", "--file", text_of(&good), "--file", missing])
        .refused();

    alice.says("@bob", "after all of that");
    assert_eq!(texts(&bob.hears(1)), ["after all of that"], "nothing else has come");
    let blobs = people.fleet.data().join("blobs");
    let kept: u64 = super::super::harness::walk(&blobs)
        .iter()
        .map(|path| fs::metadata(path).map_or(0, |file| file.len()))
        .sum();
    assert!(kept < 1 << 20, "nor do {kept} bytes lie on the servers");
}

#[test]
fn what_only_looks_like_a_picture_is_sent_as_it_is_and_said_to_be_none() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let broken = b"\x89PNG\r\n\x1a\n and then nothing of a picture";
    let path = people.file("broken.png", broken);
    let finished = alice.run(&["send", "@bob", "--file", text_of(&path)]);
    let told = finished.stderr.clone();
    finished.succeeds();
    assert!(!told.is_empty(), "its sender is told that metadata could not be looked for");
    let heard = bob.hears(1);
    let received = heard[0]["file"]["path"].as_str().expect("a path");
    assert_eq!(fs::read(received).unwrap(), broken);
}

#[test]
fn a_file_name_that_points_elsewhere_stays_in_the_downloads() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    for name in [
        "..\u{2215}up",
        "-rf",
        ".hidden",
        "line\nbreak",
        "CON",
        "back\\slash",
        "\u{1b}[31mred",
    ] {
        let path = people.file(name, name.as_bytes());
        alice.ok(&["send", "@bob", "--file", text_of(&path)]);
    }
    let downloads = fs::canonicalize(&bob.profile).unwrap().join("downloads");
    for line in bob.hears(7) {
        let path = fs::canonicalize(line["file"]["path"].as_str().expect("a path")).expect("it is there");
        assert_eq!(path.parent(), Some(downloads.as_path()), "{line}");
        assert!(!text_of(&path).contains(char::is_control), "{path:?}");
    }
}

#[test]
fn a_quota_of_files_that_the_operator_sets_is_in_force_without_a_restart() {
    let people = People::meet();
    let [alice, _bob] = people.registered(["alice", "bob"]);
    let file = people.file("report.bin", &[7; 100_000]);
    alice.ok(&["send", "@bob", "--file", text_of(&file)]);
    let shown = people.limit(br#"{"blobs": {"blob_bytes_max": 50000}}"#);
    assert_eq!(shown["blobs"]["blob_bytes_max"], 50_000);

    let deadline = Instant::now() + PATIENCE;
    let refused = loop {
        let finished = alice.run(&["send", "@bob", "--file", text_of(&file)]);
        if finished.code != Some(0) {
            break finished;
        }
        assert!(Instant::now() < deadline, "the servers go on taking such files");
    };
    let (_, message) = refused.refused_with("quota-exceeded").error();
    assert!(message.contains("50000"), "{message}");
    let small = people.file("small.bin", &[7; 10_000]);
    alice.ok(&["send", "@bob", "--file", text_of(&small)]);
}
