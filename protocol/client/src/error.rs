//! What can go wrong, by what to do about it.
//!
//! [`Failure`] is one request's; [`Error`] is an errand's (finding a server,
//! signing in), with [`Error::exit_code`] for programs.

use crate::connection::Closed;
use fastchat_wire::{Code, ErrorBody, limits::ERROR_MESSAGE_BYTES_MAX};
use std::{fmt, time::Duration};

/// A request that a peer answered with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What a program looks at.
    pub code: Code,
    /// What a person reads: printable, at most [`ERROR_MESSAGE_BYTES_MAX`] bytes.
    pub message: String,
    /// Where trying again later helps: after how long.
    pub retry_after: Option<Duration>,
    /// An `epoch-conflict`'s current epoch.
    pub epoch: Option<u64>,
}

impl Refused {
    /// Takes over what a peer said; its text is made safe for a terminal.
    pub(crate) fn new(error: &ErrorBody, epoch: Option<u64>) -> Self {
        Self {
            code: error.code,
            message: printable(&error.message),
            retry_after: error
                .retry_after_ms
                .map(|ms| Duration::from_millis(ms).min(crate::limits::WAIT_MAX)),
            epoch,
        }
    }

    /// True where the server refuses this connection rather than the request:
    /// the session's next try to sign in tells why.
    pub(crate) fn ends_the_connection(&self) -> bool {
        matches!(self.code, Code::Unauthenticated | Code::Locked | Code::Draining)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Refused {}

/// A peer's text without control characters, cut to the protocol's length.
fn printable(text: &str) -> String {
    let end = text.floor_char_boundary(ERROR_MESSAGE_BYTES_MAX);
    text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Why a request has no good answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The peer says no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The connection ended: the outcome is unknown.
    #[error("the connection ended before the answer came ({0}): ask again on another one")]
    Lost(#[from] Closed),
    /// No answer in time: the outcome is unknown.
    #[error("no answer within {0:?}: ask again")]
    TimedOut(Duration),
    /// The answer is not what the protocol says.
    #[error("the server's answer can't be understood ({0}): is it of another version?")]
    Misbehaved(String),
    /// The request can't be sent as it is.
    #[error("{0}")]
    Usage(String),
}

impl Failure {
    /// The peer's code, where it refused.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(refused) => Some(refused.code),
            _ => None,
        }
    }
}

/// What must outlast the program can't be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what must be kept can't be kept: {0}. Make room or repair the storage, then try again")]
pub struct Unkept(pub String);

impl From<crate::journal::StorageError> for Unkept {
    fn from(error: crate::journal::StorageError) -> Self {
        Self(error.to_string())
    }
}

/// Why an errand failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The fleet says no; asking again changes nothing by itself.
    #[error(transparent)]
    Refused(Refused),
    /// Nobody answers, or not for long enough.
    #[error("can't connect: {0}. Check the balancer's address and that the fleet is up, then try again")]
    CannotConnect(String),
    /// What was asked for can't be done as it was asked.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// What a program ends with: 1 refused, 2 usage, 3 can't connect.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::CannotConnect(_) => 3,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refused) => Self::Refused(refused),
            Failure::Usage(what) => Self::Usage(what),
            Failure::Lost(_) | Failure::TimedOut(_) | Failure::Misbehaved(_) => Self::CannotConnect(failure.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_text_can_not_steer_a_terminal() {
        let error = ErrorBody::new(Code::NotMember, format!("\u{1b}[2Jno\n{}", "x".repeat(20_000)));
        let refused = Refused::new(&error, None);
        assert!(refused.message.starts_with(" [2Jno x"));
        assert_eq!(refused.message.len(), ERROR_MESSAGE_BYTES_MAX);
    }
}
