//! Client addresses, as limits count them. Pure.

use fastchat_wire::control::limits::Network;
use std::net::IpAddr;

/// What counts as one client address: an IPv4 address, or an IPv6 network of 64
/// bits, which is the least that a subscriber has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AddressKey(u128);

impl AddressKey {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().to_bits()),
            IpAddr::V6(address) => Self(address.to_bits() & (u128::MAX << 64)),
        }
    }
}

impl From<AddressKey> for fastchat_balancing::HolderKey {
    fn from(AddressKey(bits): AddressKey) -> Self {
        Self(bits)
    }
}

/// The addresses to which no limit of an address applies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exempt(Vec<Network>);

impl Exempt {
    /// Those of a spec. What can't be read exempts nobody.
    pub(crate) fn new(networks: &[String]) -> Self {
        let parse = |text: &String| {
            let network = Network::parse(text);
            if network.is_none() {
                tracing::warn!(network = %text, "limits.exempt has what is no network: it exempts nobody");
            }
            network
        };
        Self(networks.iter().filter_map(parse).collect())
    }

    /// What the address counts under; `None` where it is exempt.
    pub(crate) fn key(&self, address: IpAddr) -> Option<AddressKey> {
        let exempt = self.0.iter().any(|network| network.contains(address));
        (!exempt).then(|| AddressKey::of(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::control::Limits;

    fn key(exempt: &Exempt, address: &str) -> Option<AddressKey> {
        exempt.key(address.parse().unwrap())
    }

    #[test]
    fn loopback_is_exempt_by_default_and_nothing_else_is() {
        let exempt = Exempt::new(&Limits::default().exempt);
        for address in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(key(&exempt, address), None, "{address}");
        }
        for address in ["10.0.0.1", "192.168.1.1", "::", "fe80::1", "::ffff:10.0.0.1", "128.0.0.1"] {
            assert!(key(&exempt, address).is_some(), "{address}");
        }
        let nobody = Exempt::new(&["localhost".to_owned()]);
        assert!(key(&nobody, "127.0.0.1").is_some());
    }

    #[test]
    fn an_ipv6_subscriber_counts_as_one_however_many_addresses_it_uses() {
        let nobody = Exempt::default();
        assert_eq!(key(&nobody, "2001:db8::1"), key(&nobody, "2001:db8::ffff:1"));
        assert_ne!(key(&nobody, "2001:db8::1"), key(&nobody, "2001:db8:0:1::1"));
        assert_eq!(key(&nobody, "192.0.2.1"), key(&nobody, "::ffff:192.0.2.1"));
        assert_ne!(key(&nobody, "192.0.2.1"), key(&nobody, "192.0.2.2"));
    }
}
