//! A disk that is full while a file is received.

use super::{People, noise, running::Running, text_of, texts};
use std::{fs, process::Command};

const LARGE: usize = 12 << 20;
/// What a file of the receiver may grow to, in the shell's blocks of 512 bytes: the store fits, the large file doesn't.
const BLOCKS: usize = (4 << 20) / 512;

/// The same command where writing a file beyond a limit fails, as on a full disk.
fn on_a_small_disk(command: &Command) -> Command {
    let mut limited = Command::new("sh");
    // Without the trap it would be a signal.
    limited.args(["-c", &format!("trap '' XFSZ; ulimit -f {BLOCKS}; exec \"$@\""), "sh"]);
    limited.arg(command.get_program()).args(command.get_args()).env_clear();
    limited.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    limited
}

#[test]
fn the_small_disk_is_small() {
    let folder = tempfile::tempdir().unwrap();
    for (size, fits) in [(LARGE, false), (1 << 20, true)] {
        let mut write = Command::new("dd");
        write.args([
            "if=/dev/zero",
            &format!("bs={size}"),
            "count=1",
            &format!("of={}/file", folder.path().display()),
        ]);
        write.env("PATH", "/usr/bin:/bin");
        let written = Running::start(on_a_small_disk(&write)).finish();
        assert_eq!(written.code, Some(i32::from(!fits)), "{written}");
    }
}

#[test]
fn a_disk_that_is_full_leaves_no_half_file_and_the_rest_goes_on() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let content = noise(LARGE, 7);
    let large = people.file("large.bin", &content);
    let small = people.file("small.bin", &content[..1000]);
    alice.says("@bob", "before");
    let seq = alice.ok(&["send", "@bob", "--file", text_of(&large)])[0]["seq"].to_string();
    alice.ok(&["send", "@bob", "--file", text_of(&small)]);
    alice.says("@bob", "after");

    let terminal = Running::start(on_a_small_disk(&bob.command(&["listen", "--all"])));
    terminal.wait_for_line("the file that fits", |line| {
        line["file"]["name"] == "small.bin" && line["file"]["path"].is_string()
    });
    terminal.wait_for_text("after");
    let lines = terminal.kill().lines();
    assert_eq!(texts(&lines), ["before", "after"], "the rest goes on: {lines:?}");
    let unsaved = lines
        .iter()
        .find(|line| line["file"]["name"] == "large.bin")
        .expect("the message is shown");
    assert!(unsaved["file"]["path"].is_null(), "{unsaved}");
    assert!(
        unsaved["file"]["error"]["message"].is_string(),
        "with why its file was not saved: {unsaved}"
    );

    let saved: Vec<_> = fs::read_dir(bob.downloads())
        .expect("the downloads")
        .map(|file| file.unwrap().path())
        .collect();
    let names: Vec<_> = saved.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert_eq!(names, ["small.bin"], "no half file, whatever its name");
    assert_eq!(fs::read(&saved[0]).unwrap(), &content[..1000]);

    // With room again it is fetched.
    let copy = people.folder.path().join("copy.bin");
    bob.ok(&["save", "@alice", &seq, "--to", text_of(&copy)]);
    assert!(fs::read(&copy).unwrap() == content);
}
