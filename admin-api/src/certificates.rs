//! A fleet's own CA, and the one certificate that all its processes have.
//!
//! ```text
//!  FOLDER/ca.pem      give it to whoever dials the fleet (--ca)
//!  FOLDER/ca.key      signs; needed for the next certificate only
//!  FOLDER/fleet.pem   the fleet's name and addresses; issued anew each time
//!  FOLDER/fleet.key   its key; stays, so that the pair fits at any moment
//! ```

use crate::data::{create_folder, write_secret};
use anyhow::{Context, bail};
use fastchat_wire::Secret;
use jiff::{Span, Zoned, civil::Date};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use std::{
    fs,
    io::ErrorKind,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// Life of the CA, in years.
const CA_YEARS: i64 = 10;
/// Life of the fleet's certificate, in days: as long as clients of all kinds accept.
const FLEET_DAYS: i64 = 397;
/// Clocks that are behind by so many days see valid certificates.
const SLACK_DAYS: i64 = 2;

/// Where a fleet's certificates are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificates {
    /// The CA's certificate: no secret.
    pub(crate) ca: PathBuf,
    ca_key: PathBuf,
    /// The fleet's certificate.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// In this folder.
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            ca: folder.join("ca.pem"),
            ca_key: folder.join("ca.key"),
            certificate: folder.join("fleet.pem"),
            key: folder.join("fleet.key"),
        }
    }

    /// Issues the fleet's certificate for its name, this machine, and addresses; makes what is missing before that.
    ///
    /// # Errors
    /// A file can't be read or written, half of the CA is missing, or no certificate can have the name.
    pub(crate) fn create(folder: &Path, name: &str, addresses: &[IpAddr]) -> anyhow::Result<Self> {
        create_folder(folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
        let files = Self::of(folder);
        let issuer = files.authority()?;
        let key = own_key(&files.key)?;
        let mut names = vec![name.to_owned(), "localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        names.extend(addresses.iter().filter(|ip| !ip.is_unspecified()).map(ToString::to_string));
        names.sort_unstable();
        names.dedup();
        let mut params = CertificateParams::new(names)
            .with_context(|| format!("no certificate can have the name {name:?}: give a host name or an IP address"))?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        live(&mut params, Span::new().days(FLEET_DAYS))?;
        write(&files.certificate, &params.signed_by(&key, &issuer)?.pem())?;
        Ok(files)
    }

    fn authority(&self) -> anyhow::Result<Issuer<'static, KeyPair>> {
        match (self.ca.exists(), self.ca_key.exists()) {
            (true, true) => {}
            (false, false) => {
                let key = own_key(&self.ca_key)?;
                let mut params = authority_params();
                live(&mut params, Span::new().years(CA_YEARS))?;
                write(&self.ca, &params.self_signed(&key)?.pem())?;
            }
            (ca, _) => {
                let (there, missing) = if ca { (&self.ca, &self.ca_key) } else { (&self.ca_key, &self.ca) };
                bail!(
                    "{} is there, {} is not: bring it back, or remove the first for a new CA, which all clients must be given",
                    there.display(),
                    missing.display()
                );
            }
        }
        Ok(Issuer::new(authority_params(), own_key(&self.ca_key)?))
    }
}

/// What an issuer is known by beside its key.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "FastChat fleet CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn live(params: &mut CertificateParams, life: Span) -> anyhow::Result<()> {
    let today = Zoned::now().date();
    let at = |date: Date| date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs());
    params.not_before = at(today.checked_sub(Span::new().days(SLACK_DAYS))?);
    params.not_after = at(today.checked_add(life)?);
    Ok(())
}

/// The key of a file, which is made where there is none.
fn own_key(path: &Path) -> anyhow::Result<KeyPair> {
    match fs::read_to_string(path).map(Secret::new) {
        Ok(pem) => KeyPair::from_pem(pem.expose())
            .with_context(|| format!("there is no private key in {}; remove the file for a new one", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = KeyPair::generate()?;
            write_secret(path, &Secret::new(key.serialize_pem().trim_end().to_owned()))?;
            Ok(key)
        }
        Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
    }
}

/// Writes a certificate, whole or not at all.
fn write(path: &Path, pem: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, pem)
        .and_then(|()| fs::rename(&new, path))
        .with_context(|| format!("can't write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_tls::{Acceptor, Connector, Identity, Protocol, Roots, server_name};
    use std::os::unix::fs::PermissionsExt;
    use tokio::net::{TcpListener, TcpStream};

    async fn verifies(files: &Certificates, ca: &Path, name: &str) -> bool {
        let identity = Identity {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        };
        let acceptor = Acceptor::tls(identity, Protocol::FastChat).unwrap();
        let connector = Connector::new(&Roots::File(ca.to_owned()), Protocol::FastChat).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dial = async {
            let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            connector.connect(&server_name(name).unwrap(), socket).await.is_ok()
        };
        let accept = async {
            let (socket, _) = listener.accept().await.unwrap();
            acceptor.accept(socket, std::time::Duration::from_secs(10)).await.is_ok()
        };
        tokio::join!(dial, accept).0
    }

    #[tokio::test]
    async fn a_certificate_is_good_for_the_name_and_the_addresses_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let files = Certificates::create(folder.path(), "chat.example.org", &["192.0.2.7".parse().unwrap()]).unwrap();
        for (name, good) in [
            ("chat.example.org", true),
            ("192.0.2.7", true),
            ("localhost", true),
            ("::1", true),
            ("192.0.2.8", false),
            ("example.org", false),
        ] {
            assert_eq!(verifies(&files, &files.ca, name).await, good, "{name}");
        }
        for key in [&files.key, &files.ca_key] {
            assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[tokio::test]
    async fn the_next_certificate_is_of_the_same_ca() {
        let folder = tempfile::tempdir().unwrap();
        let first = Certificates::create(folder.path(), "one.example.org", &[]).unwrap();
        let ca = folder.path().join("given-to-clients.pem");
        fs::copy(&first.ca, &ca).unwrap();
        let second = Certificates::create(folder.path(), "two.example.org", &[]).unwrap();
        assert!(verifies(&second, &ca, "two.example.org").await);
        assert!(!verifies(&second, &ca, "one.example.org").await);
    }

    #[test]
    fn half_a_ca_and_a_name_that_is_none_are_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let files = Certificates::create(folder.path(), "localhost", &[]).unwrap();
        fs::remove_file(&files.ca_key).unwrap();
        let said = Certificates::create(folder.path(), "localhost", &[]).unwrap_err().to_string();
        assert!(said.contains("bring it back"), "{said}");
        let other = tempfile::tempdir().unwrap();
        let said = Certificates::create(other.path(), "ü", &[]).unwrap_err().to_string();
        assert!(said.contains("host name or an IP address"), "{said}");
    }
}
