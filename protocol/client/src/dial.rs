//! Opening a socket: plain TCP, and that only where it is safe or was allowed.

use crate::{address::Address, config::Config, connection::Connection, error::Error, limits::ADDRESSES_MAX};
use std::net::SocketAddr;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

/// Dials an address; its IP addresses are tried one after the other.
///
/// # Errors
/// [`Error::Usage`] where the address is not loopback and plain text was not
/// allowed; [`Error::CannotConnect`] where nobody answers.
pub async fn dial(config: &Config, address: &Address) -> Result<Connection, Error> {
    let looked_up = timeout(config.timing.dial, lookup_host((address.host(), address.port()))).await;
    let found: Vec<SocketAddr> = match looked_up {
        Ok(Ok(found)) => found.take(ADDRESSES_MAX).collect(),
        Ok(Err(error)) => return Err(Error::CannotConnect(format!("{address} has no IP address ({error})"))),
        Err(_) => return Err(Error::CannotConnect(format!("nobody says which IP address {address} has"))),
    };
    let (allowed, refused): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|ip| config.allow_plaintext || ip.ip().to_canonical().is_loopback());
    if let ([], [ip, ..]) = (allowed.as_slice(), refused.as_slice()) {
        return Err(Error::Usage(format!(
            "{address} ({}) is not on this machine, and the connection would be plain text: allow it by name (--allow-plaintext, or `Config::allow_plaintext`) if you accept \
             that anybody on the way can read names, times and sizes",
            ip.ip()
        )));
    }
    let mut last = format!("{address} has no IP address");
    for ip in allowed {
        match timeout(config.timing.dial, TcpStream::connect(ip)).await {
            Ok(Ok(socket)) => {
                socket
                    .set_nodelay(true)
                    .map_err(|error| Error::CannotConnect(format!("{address}: {error}")))?;
                return Ok(Connection::open(socket, &config.timing));
            }
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address} does not answer"),
        }
    }
    Err(Error::CannotConnect(last))
}
