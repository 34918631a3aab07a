//! Why a session is over for good.

use crate::error::{Refused, Unkept};

/// Why a session is over for good, with what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The journal has no token.
    #[error("not signed in: log in first")]
    NoToken,
    /// The token is dead: the session was ended elsewhere, or somebody used a copy.
    #[error("this device's session was ended: it was signed out, or removed from the account. Log in again: that says which")]
    SignedOut(Refused),
    /// The operator locked the account.
    #[error("the account is locked ({0}): ask the fleet's operator")]
    Locked(Refused),
    /// The fleet refuses this client.
    #[error("the fleet refuses this client ({0})")]
    Refused(Refused),
    /// The configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// The journal or the outbox fails.
    #[error(transparent)]
    Unkept(#[from] Unkept),
    /// This program closed it.
    #[error("the session was closed")]
    Closed,
}

impl Ended {
    /// What a program ends with: 0 closed, 1 refused, 2 usage or storage.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::NoToken | Self::SignedOut(_) | Self::Locked(_) | Self::Refused(_) => 1,
            Self::Usage(_) | Self::Unkept(_) => 2,
        }
    }
}
