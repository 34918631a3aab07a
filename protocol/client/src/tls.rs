//! Which connections are TLS, and whose certificates are trusted (PROTOCOL.md §10).

use crate::error::Error;
use fastchat_tls::{Connector, Protocol, Roots};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

/// Which connections are TLS. By default all that leave this machine, by the CAs that it trusts. Clones share what was read.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    always: bool,
    ca: Option<PathBuf>,
    connector: Arc<OnceLock<Connector>>,
}

impl Tls {
    /// TLS to this machine, too.
    #[must_use]
    pub fn always() -> Self {
        Self {
            always: true,
            ..Self::default()
        }
    }

    /// TLS always, and nobody is trusted but the CA in this PEM file: for a fleet that has one of its own.
    #[must_use]
    pub fn by(ca: PathBuf) -> Self {
        Self {
            ca: Some(ca),
            ..Self::always()
        }
    }

    /// True where connections to this machine are TLS, too.
    #[must_use]
    pub fn is_always(&self) -> bool {
        self.always
    }

    /// The file of the only CA that is trusted.
    #[must_use]
    pub fn ca(&self) -> Option<&Path> {
        self.ca.as_deref()
    }

    /// What dials. Reads the CAs the first time.
    ///
    /// # Errors
    /// [`Error::Usage`] where they can't be used.
    pub(crate) fn connector(&self) -> Result<&Connector, Error> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector);
        }
        let roots = self.ca.clone().map_or(Roots::System, Roots::File);
        let connector = Connector::new(&roots, Protocol::FastChat).map_err(|error| Error::Usage(error.to_string()))?;
        Ok(self.connector.get_or_init(|| connector))
    }
}
