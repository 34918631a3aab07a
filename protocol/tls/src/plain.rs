//! Where a connection may go without TLS.

use std::net::{IpAddr, SocketAddr};

/// True on this machine, where nobody is on the way, and where it was allowed by name of the risk.
#[must_use]
pub fn may_be_plain(address: SocketAddr, allowed: bool) -> bool {
    allowed || address.ip().to_canonical().is_loopback()
}

/// True where a host is this machine by what it is called: no name is looked up.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_is_for_this_machine_unless_it_is_allowed() {
        for (address, here) in [
            ("127.0.0.1:1", true),
            ("127.8.8.8:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("192.0.2.7:1", false),
            ("[2001:db8::1]:1", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(may_be_plain(address, false), here, "{address}");
            assert!(may_be_plain(address, true));
        }
    }

    #[test]
    fn a_host_is_this_machine_by_its_name_only_as_localhost() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "[::1]", "::1"] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in ["localhost.example.org", "chat.example.org", "10.0.0.1", ""] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }
}
