//! A process's certificate and key, from files.

use crate::{Protocol, error::TlsError, provider, validity::not_after};
use rustls::{
    Error, InconsistentKeys, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::NoServerSessionStorage,
    version::TLS13,
};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Who runs out within this time is warned of.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// Others may do nothing with a key, its group may read it.
const OTHERS: u32 = 0o027;

/// Where a process's certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// PEM: the certificate, then those between it and the CA.
    pub certificate: PathBuf,
    /// PEM: its private key, for its owner only (its group may read it).
    pub key: PathBuf,
}

/// What was read.
pub(crate) struct Loaded {
    pub(crate) config: Arc<ServerConfig>,
    /// When the certificate ends.
    pub(crate) not_after: Option<SystemTime>,
}

impl Identity {
    /// Reads both.
    ///
    /// # Errors
    /// A file is missing or holds something else, the key is open to others, or
    /// the two are no pair.
    pub(crate) fn load(&self, protocol: Protocol) -> Result<Loaded, TlsError> {
        let chain = certificates("certificate", &self.certificate)?;
        let not_after = chain.first().and_then(|certificate| not_after(certificate));
        let key = self.private_key()?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
        let mut config = config.map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::NotAPair {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
            },
            error => TlsError::Unusable {
                path: self.certificate.clone(),
                reason: error.to_string(),
            },
        })?;
        config.alpn_protocols = vec![protocol.alpn().to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        self.warn_of_the_end(not_after);
        Ok(Loaded {
            config: Arc::new(config),
            not_after,
        })
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let mode = fs::metadata(&self.key).map(|found| found.mode() & 0o777);
        let mode = mode.map_err(|error| unreadable("the private key", &self.key, &error))?;
        if mode & OTHERS != 0 {
            return Err(TlsError::KeyIsOpen {
                path: self.key.clone(),
                mode,
            });
        }
        let pem = fs::read(&self.key).map_err(|error| unreadable("the private key", &self.key, &error))?;
        PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsError::NotThere {
            what: "private key",
            path: self.key.clone(),
            // What a parser says of a key may hold pieces of it.
            reason: String::new(),
        })
    }

    fn warn_of_the_end(&self, not_after: Option<SystemTime>) {
        let file = self.certificate.display();
        match not_after.map(|end| end.duration_since(SystemTime::now())) {
            Some(Err(_)) => tracing::warn!(%file, "the certificate has expired: clients refuse it; put a new one into its place"),
            Some(Ok(left)) if left < SOON => {
                let days = left.as_secs() / (24 * 60 * 60);
                tracing::warn!(%file, days, "the certificate expires soon; put a new one into its place");
            }
            Some(Ok(_)) | None => {}
        }
    }
}

/// The certificates of a PEM file, at least one.
pub(crate) fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = fs::read(path).map_err(|error| unreadable(what, path, &error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let not_there = |reason| TlsError::NotThere {
        what,
        path: path.to_owned(),
        reason,
    };
    match found {
        Ok(found) if found.is_empty() => Err(not_there(String::new())),
        Ok(found) => Ok(found),
        Err(error) => Err(not_there(format!(": {error}"))),
    }
}

fn unreadable(what: &'static str, path: &Path, error: &std::io::Error) -> TlsError {
    TlsError::Unreadable {
        what,
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
