//! How this process listens and dials: TLS where it has a certificate, otherwise
//! plain, and that on this machine only unless it was allowed by name of the risk.

use crate::config::{Protection, Tls};
use anyhow::{Context, bail};
use fastchat_tls::{Acceptor, Connector, Protocol, ServerName, Stream, TlsError, is_loopback_host, may_be_plain, server_name};
use std::{io, net::SocketAddr};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

/// Connections that the kernel holds until they are accepted; it may be set to hold fewer (`net.core.somaxconn`, 4,096
/// by default). One more is dropped, and tried again a second later by the other end.
const BACKLOG: u32 = 4_096;

/// How this process listens and dials. Clones share what was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transport {
    acceptor: Acceptor,
    /// Whom to trust, and the name that the fleet's certificates have.
    fleet: Option<(Connector, ServerName<'static>)>,
    allow_plaintext: bool,
}

impl Transport {
    /// Reads the files.
    ///
    /// # Errors
    /// One of them can't be used.
    pub(crate) fn new(protection: &Protection) -> Result<Self, TlsError> {
        let allow_plaintext = protection.allow_plaintext;
        let Some(Tls { identity, name }) = &protection.tls else {
            return Ok(Self {
                allow_plaintext,
                ..Self::default()
            });
        };
        let connector = Connector::new(&protection.roots(), Protocol::FastChat)?;
        Ok(Self {
            acceptor: Acceptor::tls(identity.clone(), Protocol::FastChat)?,
            fleet: Some((connector, server_name(name)?)),
            allow_plaintext,
        })
    }

    /// How accepted sockets are taken.
    pub(crate) fn acceptor(&self) -> &Acceptor {
        &self.acceptor
    }

    /// Listens.
    ///
    /// # Errors
    /// The port is taken, or the connections would be plain and come from elsewhere.
    pub(crate) async fn listen(&self, address: &str, whom: &str) -> anyhow::Result<TcpListener> {
        let listener = bind(address).await.with_context(|| {
            format!("can't listen on {address} for {whom}: end what uses that port (`ss -ltnp` says what), or choose another address for this process")
        })?;
        if !self.acceptor.is_tls() && !may_be_plain(listener.local_addr()?, self.allow_plaintext) {
            bail!(
                "{address}, where this process should listen for {whom}, is not on this machine alone, and connections would be plain text: \
                 give it a certificate (--tls-certificate, --tls-key, --tls-name), or --allow-plaintext on a network that you trust"
            );
        }
        Ok(listener)
    }

    /// Whether a host may be dialled in the clear, by whoever does so himself.
    pub(crate) fn may_be_plain_to(&self, host: &str) -> bool {
        self.allow_plaintext || is_loopback_host(host)
    }

    /// Dials another process of the fleet. Sets no time limit.
    ///
    /// # Errors
    /// Nobody answers, it is not of this fleet, or the connection would be plain beyond this machine.
    pub(crate) async fn dial(&self, address: &str) -> io::Result<Stream> {
        let Some((connector, name)) = &self.fleet else {
            let allowed = lookup_host(address).await?.find(|ip| may_be_plain(*ip, self.allow_plaintext));
            let allowed = allowed.ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    format!("{address} is not on this machine, and the connection would be plain text: give this process a certificate (--tls-certificate), or --allow-plaintext"),
                )
            })?;
            let socket = TcpStream::connect(allowed).await?;
            socket.set_nodelay(true)?;
            return Ok(Stream::Plain(socket));
        };
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let connected = connector.connect(name, socket).await;
        connected.map_err(|error| io::Error::other(format!("{address}: {error}")))
    }
}

/// As [`TcpListener::bind`] does it, but for the backlog.
async fn bind(address: &str) -> io::Result<TcpListener> {
    let mut failed = io::Error::new(io::ErrorKind::InvalidInput, "that name has no address");
    for address in lookup_host(address).await? {
        match bind_to(address) {
            Ok(listener) => return Ok(listener),
            // This machine may have no such family of addresses: another one may do.
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn bind_to(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A port whose connections have just ended is free.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::Authority;
    use std::time::Duration;

    const NAME: &str = "chat.example.org";

    fn transport(protection: &Protection) -> Transport {
        Transport::new(protection).unwrap()
    }

    #[tokio::test]
    async fn plain_stays_on_this_machine_unless_it_is_allowed() {
        let plain = Transport::default();
        plain.listen("127.0.0.1:0", "clients").await.unwrap();
        let said = plain.listen("0.0.0.0:0", "clients").await.unwrap_err().to_string();
        assert!(said.contains("--tls-certificate") && said.contains("--allow-plaintext"), "{said}");
        let refused = plain.dial("192.0.2.7:7102").await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert!(plain.may_be_plain_to("localhost") && !plain.may_be_plain_to("192.0.2.7"));
        let allowed = Protection {
            allow_plaintext: true,
            ..Protection::default()
        };
        assert!(transport(&allowed).may_be_plain_to("192.0.2.7"));
        transport(&allowed).listen("0.0.0.0:0", "clients").await.unwrap();
        let protected = transport(&Authority::new().member(NAME, NAME));
        protected.listen("0.0.0.0:0", "clients").await.unwrap();
    }

    #[tokio::test]
    async fn members_dial_each_other_by_address_and_verify_the_fleets_name_and_ca() {
        let authority = Authority::new();
        let member = transport(&authority.member(NAME, NAME));
        let listener = member.listen("127.0.0.1:0", "servers").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let acceptor = member.acceptor().clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let _ = acceptor.accept(socket, Duration::from_secs(10)).await;
            }
        });
        member.dial(&address).await.unwrap();
        let said = transport(&authority.member("other.example.org", "other.example.org"))
            .dial(&address)
            .await;
        assert!(said.unwrap_err().to_string().contains("not for the name other.example.org"));
        let said = transport(&Authority::new().member(NAME, NAME)).dial(&address).await;
        assert!(said.unwrap_err().to_string().contains("not from a CA that is trusted here"));
    }
}
