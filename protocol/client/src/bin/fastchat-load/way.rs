//! How a fleet is dialled: plain on this machine or where it was allowed, otherwise TLS.

use crate::{args::Common, trouble::Trouble};
use fastchat_client::Address;
use fastchat_tls::{Connector, Protocol, Roots, ServerName, Stream, is_loopback_host, may_be_plain, server_name};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

/// Nobody waits longer for a connection, or for its handshake.
const DIAL: Duration = Duration::from_secs(5);

/// How a fleet is dialled; clones share what was read.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// In the clear.
    Plain {
        /// Beyond this machine, too.
        beyond: bool,
    },
    /// TLS with whoever has a certificate for the name, whatever the address.
    Tls(Connector, ServerName<'static>),
}

impl Way {
    /// To a fleet that is called by the host of this address.
    ///
    /// # Errors
    /// The CA can't be read, or no certificate can have that name.
    pub(crate) fn to(named: &Address, common: &Common) -> Result<Self, Trouble> {
        let tls = common.tls || common.ca.is_some() || !(common.allow_plaintext || is_loopback_host(named.host()));
        if tls {
            Self::tls(named, common, Protocol::FastChat)
        } else {
            Ok(Self::Plain {
                beyond: common.allow_plaintext,
            })
        }
    }

    /// TLS to that host.
    ///
    /// # Errors
    /// The CA can't be read, or no certificate can have that name.
    pub(crate) fn tls(named: &Address, common: &Common, protocol: Protocol) -> Result<Self, Trouble> {
        let roots = common.ca.clone().map_or(Roots::System, Roots::File);
        let way = Connector::new(&roots, protocol).and_then(|connector| Ok(Self::Tls(connector, server_name(named.host())?)));
        way.map_err(|error| Trouble::Usage(error.to_string()))
    }

    /// The IP address of a host that may be dialled.
    ///
    /// # Errors
    /// There is none, or it is not this machine's and plain text was not allowed.
    pub(crate) async fn resolve(&self, address: &Address) -> Result<SocketAddr, Trouble> {
        let found = lookup_host((address.host(), address.port())).await;
        let found: Vec<_> = found
            .map_err(|error| Trouble::CannotConnect(format!("{address} has no IP address ({error})")))?
            .collect();
        let may_be_dialled = |ip: &&SocketAddr| match self {
            Self::Plain { beyond } => may_be_plain(**ip, *beyond),
            Self::Tls(..) => true,
        };
        match (found.iter().find(may_be_dialled), found.first()) {
            (Some(ip), _) => Ok(*ip),
            (None, Some(ip)) => Err(Trouble::Usage(format!(
                "{address} ({}) is not on this machine, and the connection would be plain text: add --tls, or --allow-plaintext if you accept that anybody on the way can read along",
                ip.ip()
            ))),
            (None, None) => Err(Trouble::CannotConnect(format!("{address} has no IP address"))),
        }
    }

    /// Dials an address that was resolved.
    ///
    /// # Errors
    /// Nobody answers, or somebody else.
    pub(crate) async fn dial(&self, address: SocketAddr) -> Result<Stream, Trouble> {
        let failed = |error: &dyn std::fmt::Display| Trouble::CannotConnect(format!("{address}: {error}"));
        let late = |_| Trouble::CannotConnect(format!("{address} does not answer"));
        let socket = timeout(DIAL, TcpStream::connect(address)).await.map_err(late)?;
        let socket = socket.map_err(|error| failed(&error))?;
        socket.set_nodelay(true).map_err(|error| failed(&error))?;
        match self {
            Self::Plain { .. } => Ok(Stream::Plain(socket)),
            Self::Tls(connector, name) => {
                let connected = timeout(DIAL, connector.connect(name, socket)).await.map_err(late)?;
                connected.map_err(|error| failed(&error))
            }
        }
    }
}
