//! A disk that is full while a file is received.

use super::{People, running::Running, text_of, texts};
use std::{fs, process::Command};

const LARGE: usize = 6 << 20;
/// What a file of the receiver may grow to, in the shell's blocks of 512 bytes: the store fits, the large file doesn't.
const BLOCKS: usize = (4 << 20) / 512;

#[test]
fn a_disk_that_is_full_leaves_no_half_file_and_the_rest_goes_on() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let content: Vec<u8> = (0..LARGE / 4)
        .flat_map(|n| u32::try_from(n).unwrap().wrapping_mul(2_654_435_761).to_be_bytes())
        .collect();
    let large = people.file("large.bin", &content);
    let small = people.file("small.bin", &content[..1000]);
    alice.says("@bob", "before");
    let seq = alice.ok(&["send", "@bob", "--file", text_of(&large)])[0]["seq"].to_string();
    alice.ok(&["send", "@bob", "--file", text_of(&small)]);
    alice.says("@bob", "after");

    // Writing beyond the limit fails as on a full disk; without the trap it would be a signal.
    let listen = bob.command(&["listen", "--all"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("trap '' XFSZ; ulimit -f {BLOCKS}; exec \"$@\""), "sh"]);
    limited.arg(listen.get_program()).args(listen.get_args()).env_clear();
    limited.envs(listen.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let terminal = Running::start(limited);
    terminal.wait_for_text("after");
    let finished = terminal.kill();
    assert_eq!(texts(&finished.lines()), ["before", "after"], "the rest goes on\n{finished}");
    let said = finished.stdout.join("\n") + &finished.stderr;
    assert!(
        said.contains("large.bin") || said.contains(&seq),
        "bob is told which file was not saved\n{finished}"
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
