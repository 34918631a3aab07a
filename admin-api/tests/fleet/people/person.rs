//! Somebody with a profile, who runs `fastchat`.

use super::{super::harness::binary, PATIENCE, finished::Finished, running::Running};
use fastchat_client::Fault;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A person on one device.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) name: String,
    /// The device's folder.
    pub(super) profile: PathBuf,
    pub(super) password: String,
    balancer: String,
}

impl Person {
    pub(super) fn new(name: &str, profile: &Path, balancer: &str) -> Self {
        Self {
            name: name.to_owned(),
            profile: profile.to_owned(),
            password: format!("correct horse battery {name}"),
            balancer: balancer.to_owned(),
        }
    }

    /// The same with another password in hand.
    pub(super) fn with_password(&self, password: &str) -> Self {
        Self {
            password: password.to_owned(),
            ..self.clone()
        }
    }

    /// The same with another balancer in mind.
    pub(super) fn with_balancer(&self, balancer: &str) -> Self {
        Self {
            balancer: balancer.to_owned(),
            ..self.clone()
        }
    }

    /// As others write them: `@name`.
    pub(super) fn at(&self) -> String {
        format!("@{}", self.name)
    }

    /// Where received files go.
    pub(super) fn downloads(&self) -> PathBuf {
        self.profile.join("downloads")
    }

    /// The program with this person's password and nothing else.
    pub(super) fn bare_command(&self) -> Command {
        let mut command = Command::new(binary("fastchat"));
        command.env_clear();
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        // Whatever looks for a home finds one that is this test's.
        command.env("HOME", self.profile.parent().expect("profiles stand in a folder"));
        command.env("FASTCHAT_PASSWORD", &self.password);
        command
    }

    /// With profile and balancer, for people.
    pub(super) fn command_for_people(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare_command();
        command.arg("--profile").arg(&self.profile).args(["--balancer", &self.balancer]);
        command.args(arguments);
        command
    }

    /// The same with `--json`.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command_for_people(&["--json"]);
        command.args(arguments);
        command
    }

    /// Runs it to its end; nothing is typed.
    #[track_caller]
    pub(super) fn run(&self, arguments: &[&str]) -> Finished {
        self.start(arguments).finish()
    }

    /// Runs it to its end with something typed.
    #[track_caller]
    pub(super) fn run_with_input(&self, arguments: &[&str], input: &str) -> Finished {
        let mut running = self.start(arguments);
        running.type_all(input);
        running.finish()
    }

    /// Runs it to its end, which must be 0; its lines.
    #[track_caller]
    pub(super) fn ok(&self, arguments: &[&str]) -> Vec<Value> {
        self.run(arguments).succeeds()
    }

    /// Starts it.
    pub(super) fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments))
    }

    /// Listens until so many messages of others have come.
    pub(super) fn listens_for(&self, count: usize) -> Running {
        let (count, seconds) = (count.to_string(), PATIENCE.as_secs().to_string());
        self.start(&["listen", "--count", &count, "--for", &seconds])
    }

    /// Runs the program with a fault point, at which it aborts.
    #[track_caller]
    pub(super) fn dies_at(&self, fault: Fault, arguments: &[&str]) -> Finished {
        let mut command = self.command(arguments);
        command.env("FASTCHAT_FAULT", fault.name());
        let finished = Running::start(command).finish();
        assert_eq!(finished.code, None, "it aborted\n{finished}");
        finished
    }

    /// So many messages of others, unread ones first.
    #[track_caller]
    pub(super) fn hears(&self, count: usize) -> Vec<Value> {
        self.listens_for(count).finish().succeeds()
    }

    /// Fails the test where a message of others comes within a second.
    #[track_caller]
    pub(super) fn hears_nothing_more(&self) {
        let finished = self.run(&["listen", "--count", "1", "--for", "1"]).exits(4);
        assert_eq!(finished.lines(), Vec::<Value>::new(), "nothing was left to read");
    }

    /// Says something; the line that says where it stands.
    #[track_caller]
    pub(super) fn says(&self, to: &str, text: &str) -> Value {
        let lines = self.ok(&["send", to, text]);
        assert_eq!(lines.len(), 1, "one message, one line: {lines:?}");
        lines.into_iter().next().expect("one line")
    }

    /// All messages of a conversation.
    #[track_caller]
    pub(super) fn history(&self, of: &str) -> Vec<Value> {
        self.ok(&["history", of, "--limit", "10000"])
    }

    /// Names of the members of a group.
    #[track_caller]
    pub(super) fn members(&self, group: &str) -> Vec<String> {
        let lines = self.ok(&["group", "members", group]);
        let name = |line: &Value| {
            line["username"]
                .as_str()
                .unwrap_or_else(|| panic!("no username: {line}"))
                .to_owned()
        };
        let mut names: Vec<String> = lines.iter().map(name).collect();
        names.sort();
        names
    }
}
