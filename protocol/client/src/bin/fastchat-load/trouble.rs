//! Why a run can't be done, and what the process ends with.

use crate::line::Lost;
use fastchat_wire::ErrorBody;
use std::{io, path::Path};

/// Why a run can't be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// It can't be done as it was asked.
    #[error("{0}")]
    Usage(String),
    /// Nobody answers, or the connection ended.
    #[error("{0}")]
    CannotConnect(String),
    /// The fleet says no.
    #[error("refused: {0}")]
    Refused(ErrorBody),
    /// This machine says no.
    #[error("{0}")]
    Failed(String),
}

impl Trouble {
    /// 1 refused, 2 wrong usage, 3 can't connect.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::CannotConnect(_) => 3,
            Self::Refused(_) | Self::Failed(_) => 1,
        }
    }

    /// What the report counts it as: the protocol's code, or one of ours.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::CannotConnect(_) => "connection-lost",
            Self::Refused(error) => error.code.as_str(),
            Self::Failed(_) => "failed",
        }
    }

    /// A file of this machine makes trouble.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        Self::Failed(format!("{}: {error}", path.display()))
    }
}

impl From<Lost> for Trouble {
    fn from(lost: Lost) -> Self {
        Self::CannotConnect(lost.to_string())
    }
}
