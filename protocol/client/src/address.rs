//! Addresses as people and balancers write them: `host:port`.

use crate::error::Error;
use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// Longest address: a host name has at most 253 characters.
const ADDRESS_BYTES_MAX: usize = 262;

/// A host (a name, an IPv4 address, or an IPv6 address in brackets) and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// The host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 1 to 65535.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| {
            let shown: String = text.escape_default().take(80).collect();
            Error::Usage(format!("\"{shown}\" is no address: write HOST:PORT, as in 127.0.0.1:7101"))
        })
    }
}

fn parse(text: &str) -> Option<Address> {
    if text.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().ok()?.to_string(),
        None => {
            let plain = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
            plain.then(|| host.to_owned())?
        }
    };
    Some(Address { host, port })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_ports_are_addresses() {
        for text in ["127.0.0.1:7101", "chat.example.org:443", "[::1]:7101", "localhost:1"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write() {
        let long = format!("{}:1", "a".repeat(300));
        for text in [
            "",
            "localhost",
            "localhost:0",
            "localhost:65536",
            ":7101",
            "::1:7101",
            "[x]:1",
            "a b:1",
            "a\u{1b}[2J:1",
            &long,
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains("HOST:PORT") && !error.contains('\u{1b}'), "{error}");
        }
    }
}
