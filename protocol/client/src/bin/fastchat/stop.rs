//! Why a command ends before it is done, and what the process ends with.

use fastchat_client::problem::Problem;
use fastchat_e2e::StoreError;
use std::{io, path::Path};

/// What the process ends with when `--for` is over before `--count`.
const EXIT_TIME_OVER: u8 = 4;
/// What it ends with when not all of the history came back.
const EXIT_INCOMPLETE: u8 = 5;
/// A shell's code for "ended by SIGINT".
const EXIT_INTERRUPTED: u8 = 130;

/// Why a command ends before it is done.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Something went wrong.
    Problem(Problem),
    /// `--for` is over before `--count`: what came until then.
    TimeOver(String),
    /// Done, and not all of the history came back: the receipt, or a note, has said what is missing.
    Incomplete,
    /// Nobody reads stdout any more, as in `fastchat history @bob | head -1`.
    ReaderGone,
    /// Ctrl-C, or SIGTERM.
    Interrupted,
}

impl Stop {
    /// Takes over an error of writing to stdout.
    pub(crate) fn output(source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        file(Path::new("stdout"), source).into()
    }

    /// The operating system refuses what every program needs.
    pub(crate) fn system(what: &str, error: &io::Error) -> Self {
        Problem::declined("system", format!("{what}: {error}")).into()
    }

    /// What the process ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Problem(problem) => problem.exit_code(),
            Self::TimeOver(_) => EXIT_TIME_OVER,
            Self::Incomplete => EXIT_INCOMPLETE,
            Self::ReaderGone => 0,
            Self::Interrupted => EXIT_INTERRUPTED,
        }
    }
}

/// A file of this machine makes trouble.
pub(crate) fn file(path: &Path, source: io::Error) -> Problem {
    let path = path.to_owned();
    Problem::File { path, source }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Problem(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_left_is_no_error() {
        let stop = Stop::output(io::ErrorKind::BrokenPipe.into());
        assert!(matches!(stop, Stop::ReaderGone));
        assert_eq!(stop.exit_code(), 0);
    }

    #[test]
    fn a_full_disk_behind_stdout_is_one() {
        assert!(matches!(
            Stop::output(io::ErrorKind::StorageFull.into()),
            Stop::Problem(Problem::File { .. })
        ));
    }

    #[test]
    fn time_over_and_a_history_that_is_not_whole_have_exit_codes_of_their_own() {
        assert_eq!(Stop::TimeOver(String::new()).exit_code(), 4);
        assert_eq!(Stop::Incomplete.exit_code(), 5);
    }
}
