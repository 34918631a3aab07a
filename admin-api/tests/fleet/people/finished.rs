//! What a run of the program left: exit code, lines, errors.

use serde_json::Value;
use std::fmt;

/// A run that is over.
#[derive(Debug)]
pub(super) struct Finished {
    /// What was run, for a failed test.
    pub(super) command: String,
    /// `None` where a signal ended it.
    pub(super) code: Option<i32>,
    /// Lines of stdout.
    pub(super) stdout: Vec<String>,
    pub(super) stderr: String,
}

impl Finished {
    /// The lines, each an object.
    pub(super) fn lines(&self) -> Vec<Value> {
        let object = |line: &String| {
            let value: Option<Value> = serde_json::from_str(line).ok();
            value
                .filter(Value::is_object)
                .unwrap_or_else(|| panic!("a line of `--json` that is no object: {line}\n{self}"))
        };
        self.stdout.iter().map(object).collect()
    }

    /// Fails the test unless it exited so.
    #[track_caller]
    pub(super) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code\n{self}");
        self
    }

    /// Its lines, after an exit with 0.
    #[track_caller]
    pub(super) fn succeeds(self) -> Vec<Value> {
        self.exits(0).lines()
    }

    /// Fails the test unless it was turned down, as usage or as refused: where both are right.
    #[track_caller]
    pub(super) fn declined(self) -> Self {
        assert!(matches!(self.code, Some(1 | 2)), "turned down\n{self}");
        assert!(self.stdout.is_empty() && !self.stderr.is_empty(), "with its reason\n{self}");
        self
    }

    /// Fails the test unless it was refused with an error that says more than its code.
    #[track_caller]
    pub(super) fn refused(self) -> Self {
        let finished = self.exits(1);
        let (code, message) = finished.error();
        assert!(
            !code.is_empty() && message.len() > code.len(),
            "an error has a code and a sentence\n{finished}"
        );
        finished
    }

    /// The same, with this code.
    #[track_caller]
    pub(super) fn refused_with(self, code: &str) -> Self {
        let finished = self.refused();
        assert_eq!(finished.error().0, code, "the error's code\n{finished}");
        finished
    }

    /// What one should know, as it was said on stderr.
    pub(super) fn notes(&self) -> Vec<String> {
        let lines = self.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .filter_map(|line| line["note"]["message"].as_str().map(str::to_owned))
            .collect()
    }

    /// Code and message of the one error on stderr.
    #[track_caller]
    pub(super) fn error(&self) -> (String, String) {
        let errors: Vec<Value> = self
            .stderr
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line["error"].is_object())
            .collect();
        assert_eq!(errors.len(), 1, "one error on stderr\n{self}");
        let text = |key: &str| {
            errors[0]["error"][key]
                .as_str()
                .unwrap_or_else(|| panic!("no {key}\n{self}"))
                .to_owned()
        };
        (text("code"), text("message"))
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}   exit code {:?}", self.command, self.code)?;
        for line in &self.stdout {
            writeln!(f, "  {line}")?;
        }
        for line in self.stderr.lines() {
            writeln!(f, "! {line}")?;
        }
        Ok(())
    }
}
