//! Dialling with TLS: whom to trust, and what a failure means for the one who dials.

use crate::{Protocol, error::TlsError, identity::certificates, provider, stream::Stream};
use rustls::{
    CertificateError, ClientConfig, Error, RootCertStore,
    client::Resumption,
    pki_types::{IpAddr, ServerName},
    version::TLS13,
};
use rustls_platform_verifier::BuilderVerifierExt;
use std::{io, path::PathBuf, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

/// Whose certificates are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Roots {
    /// Those that this machine trusts.
    #[default]
    System,
    /// Those of this PEM file and no others: a fleet's own CA.
    File(PathBuf),
    /// None: for libraries that want to be told though nothing is dialled with TLS.
    Nobody,
}

/// Dials with TLS. Clones share what was read.
#[derive(Debug, Clone)]
pub struct Connector(Arc<ClientConfig>);

/// Why there is no TLS connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Signed by nobody who is trusted.
    #[error("its certificate is not from a CA that is trusted here; give the fleet's CA (--ca FILE; fastchatd: --tls-ca FILE)")]
    Untrusted,
    /// Somebody else's certificate.
    #[error("its certificate is not for the name {0}; dial the fleet by the name that its certificate has")]
    OtherName(String),
    /// The certificate's time is over.
    #[error("its certificate has expired; the fleet's operator must renew it")]
    Expired,
    /// Its time has not come.
    #[error("its certificate is not valid yet; check this machine's clock")]
    NotYet,
    /// Any other fault of the certificate.
    #[error("its certificate is refused: {0}")]
    BadCertificate(CertificateError),
    /// The peer speaks in the clear.
    #[error(
        "it does not speak TLS; is the port right? A fleet without TLS is dialled without --tls and --ca, and with --allow-plaintext beyond this machine"
    )]
    Plain,
    /// The peer speaks TLS that we don't.
    #[error("it can't agree on TLS 1.3 for FastChat ({0}); is the port right?")]
    Unfit(Error),
    /// The socket failed.
    #[error("the TLS handshake broke off ({0}); is the port right, and does it speak TLS?")]
    Io(io::Error),
}

impl Connector {
    /// Reads the roots.
    ///
    /// # Errors
    /// They can't be used.
    pub fn new(roots: &Roots, protocol: Protocol) -> Result<Self, TlsError> {
        let system = |error: Error| TlsError::System(error.to_string());
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(system)?;
        let mut config = match roots {
            Roots::Nobody => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
            Roots::System => builder.with_platform_verifier().map_err(system)?.with_no_client_auth(),
            Roots::File(path) => {
                let mut store = RootCertStore::empty();
                for certificate in certificates("CA certificate", path)? {
                    store.add(certificate).map_err(|error| TlsError::NotThere {
                        what: "CA certificate",
                        path: path.clone(),
                        reason: format!(": {error}"),
                    })?;
                }
                builder.with_root_certificates(store).with_no_client_auth()
            }
        };
        config.alpn_protocols = vec![protocol.alpn().to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self(Arc::new(config)))
    }

    /// What libraries with TLS of their own take.
    #[must_use]
    pub fn config(&self) -> ClientConfig {
        ClientConfig::clone(&self.0)
    }

    /// Makes a dialled socket a TLS connection to whoever has a certificate for `name`. Sets no time limit.
    ///
    /// # Errors
    /// The peer is not who it should be, or does not speak TLS 1.3.
    pub async fn connect(&self, name: &ServerName<'static>, socket: TcpStream) -> Result<Stream, ConnectError> {
        let connected = Box::pin(TlsConnector::from(Arc::clone(&self.0)).connect(name.clone(), socket)).await;
        let session = connected.map_err(|error| explain(error, name))?;
        Ok(Stream::Tls(Box::new(TlsStream::Client(session))))
    }
}

/// The name that a certificate must have for this host: a host name or an IP address.
///
/// # Errors
/// No certificate can have it.
pub fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    let name = ServerName::try_from(host.to_owned());
    name.map_err(|_| TlsError::Name(host.to_owned()))
}

fn explain(error: io::Error, name: &ServerName<'_>) -> ConnectError {
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return ConnectError::Io(error);
    };
    match inner {
        Error::InvalidCertificate(fault) => match fault {
            // The second is that of another CA of the same name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => ConnectError::Untrusted,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => ConnectError::OtherName(shown(name)),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => ConnectError::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => ConnectError::NotYet,
            fault => ConnectError::BadCertificate(fault.clone()),
        },
        Error::InvalidMessage(_) => ConnectError::Plain,
        other => ConnectError::Unfit(other.clone()),
    }
}

fn shown(name: &ServerName<'_>) -> String {
    match name {
        ServerName::IpAddress(IpAddr::V4(ip)) => std::net::Ipv4Addr::from(*ip).to_string(),
        ServerName::IpAddress(IpAddr::V6(ip)) => std::net::Ipv6Addr::from(*ip).to_string(),
        name => name.to_str().into_owned(),
    }
}
