//! What can be wrong with files and names, each with what to do.

use std::path::PathBuf;

/// TLS can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("can't read {what} in {path}: {reason}; check the path and who may read it")]
    Unreadable {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A file holds something else.
    #[error("there is no {what} in {path}{reason}; it should be a PEM file")]
    NotThere {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it, after a colon.
        reason: String,
    },
    /// Other users could read or change the key.
    #[error("the private key {path} is open to other users of this machine (mode {mode:o}); run `chmod 600 {path}`", path = .path.display())]
    KeyIsOpen {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Certificate and key are not a pair.
    #[error("the key in {} is not that of the certificate in {}; give the two that belong together", .key.display(), .certificate.display())]
    NotAPair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate can't be used.
    #[error("the certificate in {} can't be used: {reason}; give one of X.509 version 3, for servers", .path.display())]
    Unusable {
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A name that no certificate can have.
    #[error("{0:?} is no name that a certificate can have; give a host name or an IP address")]
    Name(String),
    /// The system's certificates can't be used.
    #[error("this machine's own certificates can't be used: {0}; give the fleet's CA as a file")]
    System(String),
}
