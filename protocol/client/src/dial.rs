//! Opening a connection: TLS, or plain TCP where that is safe or was allowed.
//!
//! What a balancer is dialled with its servers are dialled with, too, and they
//! must have a certificate for the name that the balancer was dialled by: the
//! address that it assigns only says where to dial.

use crate::{address::Address, config::Config, connection::Connection, error::Error, limits::ADDRESSES_MAX};
use fastchat_tls::{ServerName, Stream, may_be_plain, server_name};
use std::net::SocketAddr;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

/// How a balancer and its servers are dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// In the clear.
    Plain,
    /// TLS with whoever has a certificate for this name.
    Tls(ServerName<'static>),
}

/// Dials an address as a person named it; its IP addresses are tried one after the other.
///
/// # Errors
/// [`Error::Usage`] where its host can't be verified or the CA can't be read;
/// [`Error::CannotConnect`] where nobody answers, or somebody else.
pub async fn dial(config: &Config, address: &Address) -> Result<Connection, Error> {
    dial_named(config, address).await.map(|(connection, _)| connection)
}

/// Like [`dial`]; also says how what it assigns is dialled.
pub(crate) async fn dial_named(config: &Config, address: &Address) -> Result<(Connection, Way), Error> {
    let found = look_up(config, address).await?;
    let way = if config.tls.is_always() || !found.iter().all(|ip| may_be_plain(*ip, config.allow_plaintext)) {
        Way::Tls(server_name(address.host()).map_err(|error| Error::Usage(error.to_string()))?)
    } else {
        Way::Plain
    };
    Ok((open(config, address, &found, &way).await?, way))
}

/// Dials an address that was assigned.
///
/// # Errors
/// As [`dial`], and [`Error::Usage`] where plain text would leave this machine and was not allowed.
pub(crate) async fn dial_assigned(config: &Config, address: &Address, way: &Way) -> Result<Connection, Error> {
    let mut found = look_up(config, address).await?;
    if *way == Way::Plain {
        let elsewhere = found.first().map(SocketAddr::ip);
        found.retain(|ip| may_be_plain(*ip, config.allow_plaintext));
        if let (true, Some(ip)) = (found.is_empty(), elsewhere) {
            return Err(Error::Usage(format!(
                "{address} ({ip}), which the balancer assigns, is not on this machine, and the connection would be plain text: use TLS (--tls, or `Config::tls`), \
                 or allow it by name (--allow-plaintext, or `Config::allow_plaintext`) if you accept that anybody on the way can read names, times and sizes"
            )));
        }
    }
    open(config, address, &found, way).await
}

async fn look_up(config: &Config, address: &Address) -> Result<Vec<SocketAddr>, Error> {
    match timeout(config.timing.dial, lookup_host((address.host(), address.port()))).await {
        Ok(Ok(found)) => Ok(found.take(ADDRESSES_MAX).collect()),
        Ok(Err(error)) => Err(Error::CannotConnect(format!("{address} has no IP address ({error})"))),
        Err(_) => Err(Error::CannotConnect(format!("nobody says which IP address {address} has"))),
    }
}

async fn open(config: &Config, address: &Address, found: &[SocketAddr], way: &Way) -> Result<Connection, Error> {
    let mut last = format!("{address} has no IP address");
    for ip in found {
        let socket = match timeout(config.timing.dial, TcpStream::connect(ip)).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => {
                last = format!("{address}: {error}");
                continue;
            }
            Err(_) => {
                last = format!("{address} does not answer");
                continue;
            }
        };
        socket
            .set_nodelay(true)
            .map_err(|error| Error::CannotConnect(format!("{address}: {error}")))?;
        let Way::Tls(name) = way else {
            return Ok(Connection::open(Stream::Plain(socket), &config.timing));
        };
        match timeout(config.timing.dial, config.tls.connector()?.connect(name, socket)).await {
            Ok(Ok(stream)) => return Ok(Connection::open(stream, &config.timing)),
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address} does not answer the TLS handshake; is it a fleet with TLS?"),
        }
    }
    Err(Error::CannotConnect(last))
}
