//! The program `fastchat` where it needs no fleet: help, usage, exit codes, what it says where.

#![expect(clippy::unwrap_used, reason = "a test's panic is its failure")]

use std::process::{Command, Output, Stdio};

/// Runs it without a terminal, without input, and with no environment but this.
fn run(environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fastchat"))
        .env_clear()
        .envs(environment.iter().copied())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[track_caller]
fn assert_usage(output: &Output, hint: &str) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!((output.status.code(), stdout), (Some(2), ""), "{stderr}");
    assert!(stderr.contains(hint), "says \"{hint}\": {stderr}");
}

#[test]
fn without_arguments_it_prints_its_help_and_that_is_wrong_usage() {
    assert_usage(&run(&[], &[]), "register");
    assert_usage(&run(&[("FASTCHAT_PROFILE", "bob")], &[]), "register");
    assert_usage(&run(&[], &["--json"]), "fastchat");
    assert_usage(&run(&[], &["group"]), "create");
}

#[test]
fn every_command_explains_itself_on_stdout_without_colours_in_a_pipe() {
    let commands = [
        "register",
        "login",
        "logout",
        "whoami",
        "password",
        "restore",
        "send",
        "listen",
        "history",
        "save",
        "edit",
        "delete",
        "react",
        "typing",
        "group",
        "groups",
        "verify",
        "completions",
    ];
    for command in commands {
        for (flag, part) in [("-h", "Usage: fastchat"), ("--help", "Exit codes:"), ("--help", "FASTCHAT_PROFILE")] {
            let output = run(&[], &[command, flag]);
            let help = text(&output.stdout);
            assert!(output.status.success() && output.stderr.is_empty(), "{command} {flag}");
            assert!(help.contains(part) && !help.contains('\u{1b}'), "{help}");
        }
    }
    let version = run(&[], &["--version"]);
    assert_eq!(text(&version.stdout), concat!("fastchat ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn what_it_does_not_know_is_wrong_usage() {
    for (arguments, hint) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["no-such-command"], "no-such-command"),
        (&["register"], "NAME"),
        (&["register", "two words"], "a username is"),
        (&["register", ""], "a username is"),
        (&["send"], "@user|#group"),
        (&["listen", "--count", "0"], "--count"),
        (&["listen", "--count", "many"], "--count"),
        (&["listen", "--for", "-1"], "-1"),
        (&["listen", "--for", "soon"], "as in 10 or 2.5"),
        (&["whoami", "--balancer", "localhost"], "HOST:PORT"),
        (&["whoami", "--color", "purple"], "never"),
        (&["group", "create"], "NAME"),
        (&["verify"], "@user"),
        (&["verify", "@bob", "--number", "12345"], "60 digits"),
        (
            &[
                "verify",
                "@bob",
                "--yes",
                "--number",
                "111111111111111111111111111111111111111111111111111111111111",
            ],
            "cannot be used with",
        ),
        (&["completions", "no-such-shell"], "bash"),
    ] {
        assert_usage(&run(&[], arguments), hint);
    }
}

/// A profile that is not there, and stays so.
struct Nobody(tempfile::TempDir);

impl Nobody {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn profile(&self) -> String {
        self.0.path().join("nobody").to_str().unwrap().to_owned()
    }

    fn run(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
        let profile = self.profile();
        run(environment, &[&["--profile", &profile, "--json"], arguments].concat())
    }

    /// The one error of a run, which left no profile.
    #[track_caller]
    fn error(&self, exit_code: i32, environment: &[(&str, &str)], arguments: &[&str]) -> (String, String) {
        let output = self.run(environment, arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(exit_code), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty() && stderr.lines().count() == 1, "{stderr}");
        assert!(!std::path::Path::new(&self.profile()).exists(), "{arguments:?}");
        let error: serde_json::Value = serde_json::from_str(stderr).unwrap();
        let key = |key: &str| error["error"][key].as_str().unwrap().to_owned();
        (key("code"), key("message"))
    }
}

const PASSWORD: (&str, &str) = ("FASTCHAT_PASSWORD", "correct horse");

#[test]
fn a_script_without_a_password_is_told_what_to_set() {
    for arguments in [&["register", "alice"][..], &["login", "alice"]] {
        let (_, message) = Nobody::new().error(2, &[], arguments);
        assert!(message.contains("FASTCHAT_PASSWORD"), "{message}");
    }
    let (_, message) = Nobody::new().error(2, &[], &["login", "alice", "--recovery"]);
    assert!(message.contains("FASTCHAT_RECOVERY_CODE"), "{message}");
}

#[test]
fn passwords_and_codes_that_can_not_be_right_go_nowhere() {
    let nobody = Nobody::new();
    let password = |text| [("FASTCHAT_PASSWORD", text)];
    nobody.error(2, &password(""), &["register", "alice"]);
    nobody.error(2, &password(""), &["login", "alice"]);
    let (code, message) = nobody.error(1, &password("hunter2"), &["register", "alice"]);
    assert!(code == "weak-password" && !message.contains("hunter2"), "{code}: {message}");
    let recovery = [("FASTCHAT_RECOVERY_CODE", "7ZQG-1M4T")];
    let (code, message) = nobody.error(1, &recovery, &["login", "alice", "--recovery"]);
    assert!(code == "bad-recovery-code" && message.contains("56"), "{code}: {message}");
}

#[test]
fn a_balancer_that_does_not_answer_has_its_own_exit_code() {
    let nobody = Nobody::new();
    for environment in [&[PASSWORD][..], &[PASSWORD, ("FASTCHAT_BALANCER", "127.0.0.1:2")]] {
        let flag = ["register", "alice", "--balancer", "127.0.0.1:1"];
        let (code, message) = nobody.error(3, environment, &flag);
        assert!(!code.is_empty() && message.contains("127.0.0.1:1"), "{code}: {message}");
    }
    let (_, message) = nobody.error(3, &[PASSWORD, ("FASTCHAT_BALANCER", "127.0.0.1:2")], &["register", "alice"]);
    assert!(message.contains("127.0.0.1:2"), "{message}");
}

#[test]
fn a_profile_that_is_not_there_is_said_with_what_to_do() {
    for arguments in [
        &["whoami"][..],
        &["logout"],
        &["listen", "--count", "1", "--for", "1"],
        &["history", "@bob"],
        &["groups"],
        &["send", "@bob", "hello"],
        &["save", "@bob", "1"],
        &["group", "create", "team"],
    ] {
        let (_, message) = Nobody::new().error(1, &[], arguments);
        assert!(message.contains("register or log in"), "{arguments:?}: {message}");
    }
}

#[test]
fn what_is_no_message_is_refused_before_anything_else() {
    let nobody = Nobody::new();
    for to in ["bob", "@", "#", "@two words", ""] {
        assert_usage(&nobody.run(&[], &["send", to, "hello"]), "error: ");
    }
    nobody.error(2, &[], &["send", "@bob", ""]);
    nobody.error(2, &[], &["send", "@bob"]);
    let missing = nobody.0.path().join("missing.png");
    let (_, message) = nobody.error(1, &[], &["send", "@bob", "hello", "--file", missing.to_str().unwrap()]);
    assert!(message.contains("missing.png"), "{message}");
    let folder = nobody.0.path().to_str().unwrap();
    let (_, message) = nobody.error(1, &[], &["send", "@bob", "--file", folder]);
    assert!(message.contains(folder), "{message}");
}

#[test]
fn an_error_for_people_is_one_line_with_its_code() {
    let nobody = Nobody::new();
    let output = run(
        &[("FASTCHAT_PASSWORD", "short")],
        &["--profile", &nobody.profile(), "register", "alice"],
    );
    let stderr = text(&output.stderr);
    assert!(
        stderr.starts_with("fastchat: weak-password: ") && stderr.lines().count() == 1,
        "{stderr}"
    );
}

#[test]
fn completions_are_a_script_on_stdout() {
    for shell in ["bash", "fish", "zsh"] {
        let output = run(&[("HOME", "/nonexistent")], &["completions", shell]);
        assert!(output.status.success() && text(&output.stdout).contains("fastchat"), "{shell}");
    }
}
