//! Tickets: a balancer's note that a client was sent to a server (PROTOCOL.md §3).
//!
//! `base64url(u64 number ‖ u64 expiry ms ‖ HMAC-SHA256 of server, number, expiry)`.
//! It reserves a place and gives no right. Pure: the caller has the clock, and
//! remembers which numbers were redeemed.

use crate::fleet_key::FleetKey;
use fastchat_wire::{
    Secret,
    encoding::{base64url, from_base64url},
};
use subtle::ConstantTimeEq;

/// A ticket that is genuine, for this server and not expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// Unique among the fleet's balancers: drawn at random.
    pub(crate) number: u64,
    /// ms since the Unix epoch.
    pub(crate) expires_at: u64,
}

const LABEL: &str = "fastchat ticket v1";

fn mac(key: &FleetKey, server: &str, body: &[u8]) -> [u8; 32] {
    // The server's name has no NUL, so the two parts can't run into each other.
    key.derive(LABEL, &[server.as_bytes(), &[0], body].concat())
}

/// Makes a ticket for a server.
pub(crate) fn issue(key: &FleetKey, server: &str, ticket: Ticket) -> Secret {
    let mut bytes = [ticket.number.to_be_bytes(), ticket.expires_at.to_be_bytes()].concat();
    let mac = mac(key, server, &bytes);
    bytes.extend_from_slice(&mac);
    Secret::new(base64url(&bytes))
}

/// Checks a ticket: genuine, for this server, not expired at `now` (ms since the Unix epoch).
pub(crate) fn verify(key: &FleetKey, server: &str, ticket: &Secret, now: u64) -> Option<Ticket> {
    let bytes = from_base64url(ticket.expose())?;
    let (body, given) = bytes.split_at_checked(16)?;
    let genuine: bool = mac(key, server, body).ct_eq(given).into();
    let (number, expires_at) = body.split_at(8);
    let ticket = Ticket {
        number: u64::from_be_bytes(number.try_into().ok()?),
        expires_at: u64::from_be_bytes(expires_at.try_into().ok()?),
    };
    (genuine && now <= ticket.expires_at).then_some(ticket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::Secret32;

    fn key(byte: u8) -> FleetKey {
        FleetKey::new(Secret32::new([byte; 32]))
    }

    #[test]
    fn a_ticket_is_good_for_its_server_until_it_expires() {
        let ticket = Ticket {
            number: 7,
            expires_at: 1_000,
        };
        let text = issue(&key(1), "s1", ticket);
        assert_eq!(verify(&key(1), "s1", &text, 1_000), Some(ticket));
        assert_eq!(verify(&key(1), "s1", &text, 1_001), None, "expired");
        assert_eq!(verify(&key(1), "s2", &text, 0), None, "foreign");
        assert_eq!(verify(&key(2), "s1", &text, 0), None, "another fleet's");
        let mut forged = text.expose().to_owned();
        forged.replace_range(0..1, if forged.starts_with('A') { "B" } else { "A" });
        assert_eq!(verify(&key(1), "s1", &Secret::new(forged), 0), None, "forged");
        assert_eq!(verify(&key(1), "s1", &Secret::new("!".into()), 0), None, "no base64");
        assert_eq!(verify(&key(1), "s1", &Secret::new(String::new()), 0), None, "empty");
    }
}
