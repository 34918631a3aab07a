//! A fleet's CA for tests, and what it issues.

use crate::config::{Protection, Tls};
use fastchat_tls::Identity;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};
use tempfile::TempDir;

/// A CA in a folder of its own.
pub(crate) struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self {
            folder,
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A process with a certificate for `certified`, in a fleet that is called `named`.
    pub(crate) fn member(&self, certified: &str, named: &str) -> Protection {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([certified.to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &self.issuer).unwrap();
        let file = |kind: &str, pem: String| {
            let path = self.folder.path().join(format!("{certified}-{kind}.pem"));
            fs::write(&path, pem).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        Protection {
            tls: Some(Tls {
                identity: Identity {
                    certificate: file("certificate", certificate.pem()),
                    key: file("key", key.serialize_pem()),
                },
                name: named.to_owned(),
            }),
            ca: Some(self.ca()),
            allow_plaintext: false,
        }
    }
}
