//! How a process's own connections are protected: what it is told, and what an agent hands on.

use super::{ConfigError, Layer, absolute};
use fastchat_tls::{Identity, Roots, server_name};
use std::{ffi::OsString, path::PathBuf};

/// How a process protects what it listens on and what it dials.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Protection {
    /// Set: everything but the probes is TLS.
    pub(crate) tls: Option<Tls>,
    /// The file of the CA that is trusted; otherwise those that this machine trusts. Absolute.
    pub(crate) ca: Option<PathBuf>,
    /// Be plain beyond this machine.
    pub(crate) allow_plaintext: bool,
}

/// Who a process is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tls {
    /// Certificate and key. Absolute.
    pub(crate) identity: Identity,
    /// The fleet's name, which the certificates of its other processes have.
    pub(crate) name: String,
}

impl Protection {
    pub(super) fn resolve(layer: &Layer) -> Result<Self, ConfigError> {
        let given = &layer.tls;
        let tls = match (&given.certificate, &given.key, &given.name) {
            (None, None, None) => None,
            (Some(certificate), Some(key), Some(name)) => {
                server_name(name).map_err(|_| ConfigError::Invalid {
                    key: "--tls-name",
                    value: name.clone(),
                    reason: "give the name of the fleet that its certificate has: a host name or an IP address",
                })?;
                Some(Tls {
                    identity: Identity {
                        certificate: absolute("--tls-certificate", certificate)?,
                        key: absolute("--tls-key", key)?,
                    },
                    name: name.clone(),
                })
            }
            (None, ..) => return Err(ConfigError::Missing("--tls-certificate")),
            (_, None, _) => return Err(ConfigError::Missing("--tls-key")),
            (.., None) => return Err(ConfigError::Missing("--tls-name")),
        };
        Ok(Self {
            tls,
            ca: given.ca.as_deref().map(|ca| absolute("--tls-ca", ca)).transpose()?,
            allow_plaintext: layer.allow_plaintext.unwrap_or(false),
        })
    }

    /// Whose certificates are trusted.
    pub(crate) fn roots(&self) -> Roots {
        self.ca.clone().map_or(Roots::System, Roots::File)
    }

    /// The flags that say the same.
    pub(crate) fn flags(&self) -> Vec<OsString> {
        let mut flags: Vec<OsString> = Vec::new();
        let mut add = |flag: &str, value: OsString| flags.extend([flag.into(), value]);
        if let Some(Tls { identity, name }) = &self.tls {
            add("--tls-certificate", identity.certificate.clone().into());
            add("--tls-key", identity.key.clone().into());
            add("--tls-name", name.into());
        }
        if let Some(ca) = &self.ca {
            add("--tls-ca", ca.clone().into());
        }
        if self.allow_plaintext {
            flags.push("--allow-plaintext".into());
        }
        flags
    }
}
