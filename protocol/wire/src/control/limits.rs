//! What clients may take (PROTOCOL.md §10): the same for all processes of a fleet.
//!
//! 0 is no limit, everywhere but in times. Rates are those of a bucket: `burst` at once after
//! a pause, and `per_s` in the long run.

use super::{BlobPolicy, Fault};
use crate::limits::{BLOCK_BYTES_MAX, HEADER_BYTES_MAX, PARTIAL_BLOCKS_BYTES_MAX};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// So many a second, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// In the long run; 0 is no limit.
    pub per_s: f64,
    /// At once, after a pause; at least 1.
    pub burst: u32,
}

impl Rate {
    const fn new(per_s: f64, burst: u32) -> Self {
        Self { per_s, burst }
    }
}

/// What clients may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Networks (`127.0.0.0/8`, `::1`) to which the limits of an address don't apply; all others do.
    pub exempt: Vec<String>,
    /// Of one connection.
    pub connection: ConnectionLimits,
    /// Of one account on one server, over its connections.
    pub account: AccountLimits,
    /// Of one client address (an IPv6 client's is its /64) on one process.
    pub address: AddressLimits,
    /// Of one server over all clients.
    pub server: ServerLimits,
    /// Of files.
    pub blobs: BlobPolicy,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            exempt: vec!["127.0.0.0/8".to_owned(), "::1/128".to_owned()],
            connection: ConnectionLimits::default(),
            account: AccountLimits::default(),
            address: AddressLimits::default(),
            server: ServerLimits::default(),
            blobs: BlobPolicy::default(),
        }
    }
}

/// Of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectionLimits {
    /// Requests.
    pub requests: Rate,
    /// Bytes of frames; over it they are read more slowly, not refused.
    pub bytes: Rate,
    /// Refusals for a rate; over it the connection is closed.
    pub refusals: Rate,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            requests: Rate::new(5_000.0, 10_000),
            bytes: Rate::new(33_554_432.0, 67_108_864),
            refusals: Rate::new(100.0, 5_000),
        }
    }
}

/// Of one account on one server, over its connections.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountLimits {
    /// Requests.
    pub requests: Rate,
    /// Appends among them.
    pub appends: Rate,
    /// Bytes of frames; over it they are read more slowly, not refused.
    pub bytes: Rate,
    /// Connections at a time; one more ends the oldest.
    pub connections: u32,
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self {
            requests: Rate::new(10_000.0, 20_000),
            appends: Rate::new(5_000.0, 10_000),
            bytes: Rate::new(67_108_864.0, 134_217_728),
            connections: 64,
        }
    }
}

/// Of one client address on one process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AddressLimits {
    /// Connections to a server at a time.
    pub connections: u32,
    /// Of those, the ones that have not signed in; connections to a balancer at a time.
    pub signing_in: u32,
    /// `login`: each costs a server some 20 ms of computing.
    pub sign_ins: Rate,
    /// `register`: the same.
    pub registrations: Rate,
    /// `resume` and `auth-params`.
    pub resumes: Rate,
    /// `assign`.
    pub assigns: Rate,
    /// Tickets out at a time.
    pub tickets: u32,
}

impl Default for AddressLimits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            signing_in: 1_000,
            sign_ins: Rate::new(10.0, 200),
            registrations: Rate::new(1.0, 100),
            resumes: Rate::new(500.0, 5_000),
            assigns: Rate::new(500.0, 5_000),
            tickets: 5_000,
        }
    }
}

/// Of one server over all clients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerLimits {
    /// Connections that have not signed in.
    pub signing_in: u32,
    /// Bytes of blocks that are not complete or not committed; at least one block. Over it they are read later.
    pub blocks_bytes: u64,
    /// Clients with a session's token that balancers send it; whoever is beyond is told to wait, not refused. Two processors
    /// that a whole fleet shares take the default without the others' messages being held up; those of one server take more.
    pub resumes: Rate,
    /// Clients without one, likewise: each costs a server some 20 ms of computing.
    pub sign_ins: Rate,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            signing_in: 20_000,
            blocks_bytes: PARTIAL_BLOCKS_BYTES_MAX as u64,
            resumes: Rate::new(300.0, 30),
            sign_ins: Rate::new(100.0, 200),
        }
    }
}

/// A frame must fit into the burst of its bytes, or it could never be read.
const FRAME_BYTES_MAX: u32 = (2 + HEADER_BYTES_MAX + BLOCK_BYTES_MAX) as u32;
/// A cell of a slower rate would be worth more than a day.
const PER_S_MIN: f64 = 1e-5;
/// A cell of a faster rate would be worth less than a nanosecond.
const PER_S_MAX: f64 = 1e9;

impl Limits {
    /// True where they need not be said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks what types don't.
    ///
    /// # Errors
    /// What makes no sense, and where.
    pub fn check(&self) -> Result<(), Vec<Fault>> {
        let mut faults = Vec::new();
        let mut fault = |pointer: String, detail: String| faults.push(Fault { pointer, detail });
        for (index, network) in self.exempt.iter().enumerate() {
            if Network::parse(network).is_none() {
                fault(
                    format!("/exempt/{index}"),
                    format!("{network:?} is no network: write 192.0.2.0/24, 2001:db8::/32, or one address"),
                );
            }
        }
        let (connection, account, address) = (&self.connection, &self.account, &self.address);
        for (pointer, rate, burst_min) in [
            ("/connection/requests", connection.requests, 1),
            ("/connection/bytes", connection.bytes, FRAME_BYTES_MAX),
            ("/connection/refusals", connection.refusals, 1),
            ("/account/requests", account.requests, 1),
            ("/account/appends", account.appends, 1),
            ("/account/bytes", account.bytes, FRAME_BYTES_MAX),
            ("/address/sign_ins", address.sign_ins, 1),
            ("/address/registrations", address.registrations, 1),
            ("/address/resumes", address.resumes, 1),
            ("/address/assigns", address.assigns, 1),
            ("/server/resumes", self.server.resumes, 1),
            ("/server/sign_ins", self.server.sign_ins, 1),
        ] {
            if rate.per_s != 0.0 && !(PER_S_MIN..=PER_S_MAX).contains(&rate.per_s) {
                fault(
                    format!("{pointer}/per_s"),
                    format!("give 0 for no limit, or {PER_S_MIN} to {PER_S_MAX}"),
                );
            }
            if rate.burst < burst_min {
                fault(format!("{pointer}/burst"), format!("give at least {burst_min}"));
            }
        }
        let block = BLOCK_BYTES_MAX as u64;
        if self.server.blocks_bytes != 0 && self.server.blocks_bytes < block {
            fault(
                "/server/blocks_bytes".to_owned(),
                format!("give 0 for no limit, or at least {block}: one block has to fit"),
            );
        }
        faults.extend(self.blobs.faults("/blobs"));
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

/// A network of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Its bits, an IPv4 network's as of a mapped IPv6 address.
    bits: u128,
    /// How many of them count.
    prefix: u32,
}

impl Network {
    /// Reads `192.0.2.0/24`, or an address alone.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (longest, before) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let length = length.unwrap_or(longest);
        (length <= longest).then(|| Self {
            bits: bits(address),
            prefix: before + length,
        })
    }

    /// True where the address belongs to it; an IPv4 address that is mapped into IPv6 is the same address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let differ = self.bits ^ bits(address);
        differ.leading_zeros() >= self.prefix
    }
}

/// An IPv4 address as the IPv6 address that it is mapped to.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense_and_an_empty_document_is_the_defaults() {
        assert_eq!(Limits::default().check(), Ok(()));
        assert_eq!(serde_json::from_str::<Limits>("{}").unwrap(), Limits::default());
        let one: Limits = serde_json::from_str(r#"{"account":{"connections":3}}"#).unwrap();
        assert_eq!(one.account.connections, 3);
        assert_eq!(one.account.appends, Limits::default().account.appends);
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_place() {
        let pointers = |change: fn(&mut Limits)| {
            let mut limits = Limits::default();
            change(&mut limits);
            let faults = limits.check().err().unwrap_or_default();
            faults.into_iter().map(|fault| fault.pointer).collect::<Vec<_>>()
        };
        assert_eq!(pointers(|l| l.exempt.push("10.0.0.0/33".into())), ["/exempt/2"]);
        assert_eq!(pointers(|l| l.address.assigns.per_s = -1.0), ["/address/assigns/per_s"]);
        assert_eq!(pointers(|l| l.address.assigns.per_s = f64::NAN), ["/address/assigns/per_s"]);
        assert_eq!(pointers(|l| l.address.assigns.burst = 0), ["/address/assigns/burst"]);
        assert_eq!(pointers(|l| l.account.bytes.burst = FRAME_BYTES_MAX - 1), ["/account/bytes/burst"]);
        assert_eq!(pointers(|l| l.account.bytes.burst = FRAME_BYTES_MAX), [""; 0]);
        assert_eq!(pointers(|l| l.server.blocks_bytes = 4_194_303), ["/server/blocks_bytes"]);
        assert_eq!(pointers(|l| l.server.blocks_bytes = 4_194_304), [""; 0]);
        assert_eq!(pointers(|l| l.server.blocks_bytes = 0), [""; 0]);
        assert_eq!(pointers(|l| l.server.resumes.per_s = -1.0), ["/server/resumes/per_s"]);
        assert_eq!(pointers(|l| l.server.sign_ins.burst = 0), ["/server/sign_ins/burst"]);
        assert_eq!(pointers(|l| l.blobs.sweep_ms = 0), ["/blobs/sweep_ms"]);
    }

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        let contains = |network: &str, address: &str| Network::parse(network).unwrap().contains(address.parse().unwrap());
        assert!(contains("127.0.0.0/8", "127.9.9.9"));
        assert!(!contains("127.0.0.0/8", "128.0.0.1"));
        assert!(contains("127.0.0.0/8", "::ffff:127.0.0.1"), "mapped");
        assert!(contains("192.0.2.7", "192.0.2.7") && !contains("192.0.2.7", "192.0.2.6"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1") && !contains("2001:db8::/32", "2001:db9::1"));
        assert!(contains("0.0.0.0/0", "198.51.100.1") && !contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("::/0", "198.51.100.1"));
        for bad in ["", "localhost", "10.0.0.0/33", "::1/129", "10.0.0.0/", "10.0.0.0/-1"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}
