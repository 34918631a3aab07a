//! Which bus the servers of a fleet have: `mesh`, or a broker by its URL.
//!
//! ```text
//!  mesh
//!  nats://[USER:PASSWORD@|TOKEN@]HOST[:PORT][,HOST[:PORT]…][?ca=FILE&credentials=FILE]
//!  tls://…                                                    the same over TLS
//! ```
//!
//! The text is a secret as a database's URL is: neither errors nor `Debug` nor
//! `Display` repeat what stands before the `@`.

use crate::Secret;
use std::fmt;

/// Port of a broker, unless told otherwise.
const NATS_PORT: u16 = 4222;

/// Most brokers of one URL.
const BROKERS_MAX: usize = 16;

/// How servers reach each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusPlace {
    /// Each dials every other one; nothing to install.
    Mesh,
    /// Through a NATS broker.
    Nats(NatsPlace),
}

/// A NATS broker, or several of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsPlace {
    /// `host:port` of each.
    pub brokers: Vec<String>,
    /// TLS is asked for; a broker that demands it gets it in any case.
    pub tls: bool,
    /// Who we are there.
    pub login: Option<NatsLogin>,
    /// File with the certificate authorities (PEM) that count instead of the system's, absolute.
    pub ca: Option<String>,
    /// File with a user's JWT and seed (`.creds`), absolute.
    pub credentials: Option<String>,
}

impl NatsPlace {
    /// The brokers' hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.brokers
            .iter()
            .map(|broker| broker.rsplit_once(':').map_or(broker.as_str(), |(host, _)| host))
    }

    /// Refuses brokers that would be dialled in the clear where that may not be.
    ///
    /// # Errors
    /// The first of them, and what to do.
    pub fn check_plain(&self, may_be_plain: impl Fn(&str) -> bool) -> Result<(), PlainBroker> {
        match self.hosts().find(|host| !self.tls && !may_be_plain(host)) {
            Some(host) => Err(PlainBroker(host.to_owned())),
            None => Ok(()),
        }
    }
}

/// A broker that would be dialled in the clear where that may not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the broker {0} is not on this machine, and the connection would be plain text: write tls:// instead of nats://, or allow it with --allow-plaintext on a network that you trust"
)]
pub struct PlainBroker(String);

/// Who a server is to a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NatsLogin {
    /// By name and password.
    User(String, Secret),
    /// By a token.
    Token(Secret),
}

/// What is wrong with the text; without the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// Neither the mesh nor a broker.
    #[error("the bus can't be that: write mesh, nats://HOST:PORT or tls://HOST:PORT")]
    Unknown,
    /// No broker, or one that can't be.
    #[error(
        "the bus's URL names no broker, or one that can't be: write nats://HOST:PORT, with commas between several (at most {BROKERS_MAX})"
    )]
    Brokers,
    /// The part before the `@` has a `%` that begins nothing, or is empty.
    #[error("the bus's URL has a login that can't be read: write nats://USER:PASSWORD@HOST:PORT, with %40 for @, %3A for : and %25 for %")]
    Login,
    /// A parameter that isn't known, or a path that isn't absolute.
    #[error("the bus's URL may have ?ca=FILE and credentials=FILE, each once and with an absolute path")]
    Parameters,
}

impl BusPlace {
    /// Reads `mesh` or a URL.
    ///
    /// # Errors
    /// Says what is wrong, without the URL.
    pub fn parse(text: &str) -> Result<Self, BusError> {
        if text == "mesh" {
            return Ok(Self::Mesh);
        }
        let (tls, rest) = match text.split_once("://") {
            Some(("nats", rest)) => (false, rest),
            Some(("tls", rest)) => (true, rest),
            _ => return Err(BusError::Unknown),
        };
        NatsPlace::parse(tls, rest).map(Self::Nats)
    }
}

impl NatsPlace {
    fn parse(tls: bool, rest: &str) -> Result<Self, BusError> {
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (login, brokers) = match place.rsplit_once('@') {
            Some((login, brokers)) => (Some(NatsLogin::parse(login)?), brokers),
            None => (None, place),
        };
        let brokers = brokers.strip_suffix('/').unwrap_or(brokers);
        let brokers = brokers.split(',').map(broker).collect::<Option<Vec<_>>>();
        let brokers = brokers.filter(|brokers| brokers.len() <= BROKERS_MAX).ok_or(BusError::Brokers)?;
        let (mut ca, mut credentials) = (None, None);
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (file, path) = match parameter.split_once('=') {
                Some(("ca", path)) => (&mut ca, path),
                Some(("credentials", path)) => (&mut credentials, path),
                _ => return Err(BusError::Parameters),
            };
            let path = decoded(path).filter(|path| path.starts_with('/')).ok_or(BusError::Parameters)?;
            if file.replace(path).is_some() {
                return Err(BusError::Parameters);
            }
        }
        Ok(Self {
            brokers,
            tls,
            login,
            ca,
            credentials,
        })
    }
}

impl NatsLogin {
    fn parse(text: &str) -> Result<Self, BusError> {
        let part = |text: &str| decoded(text).filter(|text| !text.is_empty()).ok_or(BusError::Login);
        Ok(match text.split_once(':') {
            Some((user, password)) => Self::User(part(user)?, Secret::new(part(password)?)),
            None => Self::Token(Secret::new(part(text)?)),
        })
    }
}

/// `host:port` of `host`, `host:port`, `[::1]` or `[::1]:port`.
fn broker(text: &str) -> Option<String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (text, NATS_PORT),
    };
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let good = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    };
    (good && port != 0).then(|| format!("{host}:{port}"))
}

/// Without its `%xx`; `None` where one isn't, or no UTF-8 comes out.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let (high, low) = (after.first()?, after.get(1)?);
            let digit = |byte: &u8| char::from(*byte).to_digit(16);
            bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for BusPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mesh => f.write_str("mesh"),
            Self::Nats(place) => place.fmt(f),
        }
    }
}

impl fmt::Display for NatsPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "tls" } else { "nats" }, self.brokers.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nats(text: &str) -> NatsPlace {
        match BusPlace::parse(text) {
            Ok(BusPlace::Nats(place)) => place,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_bus_is_the_mesh_or_a_broker() {
        assert_eq!(BusPlace::parse("mesh"), Ok(BusPlace::Mesh));
        let place = nats("nats://broker.example");
        assert_eq!(
            (place.brokers, place.tls, place.login),
            (vec!["broker.example:4222".to_owned()], false, None)
        );
        let place = nats("tls://a:4223,[::1],[::1]:5,10.0.0.1/?ca=/etc/ca.pem&credentials=/etc/fast%20chat.creds");
        assert_eq!(place.brokers, ["a:4223", "[::1]:4222", "[::1]:5", "10.0.0.1:4222"]);
        assert!(place.tls);
        assert_eq!(place.ca.as_deref(), Some("/etc/ca.pem"));
        assert_eq!(place.credentials.as_deref(), Some("/etc/fast chat.creds"));
    }

    #[test]
    fn a_login_is_a_name_and_a_password_or_a_token_and_is_never_shown() {
        let place = nats("nats://chat:s3cret%40%3A@b");
        assert_eq!(place.login, Some(NatsLogin::User("chat".into(), Secret::new("s3cret@:".into()))));
        let token = nats("nats://s3cret@b:1");
        assert_eq!(token.login, Some(NatsLogin::Token(Secret::new("s3cret".into()))));
        for place in [place, token] {
            let place = BusPlace::Nats(place);
            assert!(!format!("{place} {place:?}").contains("s3cret"));
        }
    }

    #[test]
    fn a_broker_beyond_is_dialled_by_tls_or_where_plain_is_allowed() {
        let here = |host: &str| host == "localhost";
        assert_eq!(nats("nats://s3cret@localhost").check_plain(here), Ok(()));
        assert_eq!(nats("tls://localhost,beyond").check_plain(here), Ok(()));
        assert_eq!(nats("nats://localhost,beyond").check_plain(|_| true), Ok(()));
        let error = nats("nats://s3cret@localhost,beyond:4223").check_plain(here).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("beyond is not") && said.contains("tls://") && !said.contains("s3cret"),
            "{said}"
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_the_url() {
        for (text, wrong) in [
            ("", BusError::Unknown),
            ("s3cret", BusError::Unknown),
            ("redis://s3cret@b", BusError::Unknown),
            ("nats://", BusError::Brokers),
            ("nats://s3cret@b:70000", BusError::Brokers),
            ("nats://s3cret@b:0", BusError::Brokers),
            ("nats://s3cret@a b", BusError::Brokers),
            ("nats://b,,c", BusError::Brokers),
            ("nats://[::g]", BusError::Brokers),
            ("nats://chat:@b", BusError::Login),
            ("nats://@b", BusError::Login),
            ("nats://s3cret%4@b", BusError::Login),
            ("nats://b?ca=s3cret", BusError::Parameters),
            ("nats://b?s3cret=/x", BusError::Parameters),
            ("nats://b?ca=/x&ca=/y", BusError::Parameters),
        ] {
            let error = BusPlace::parse(text).expect_err(text);
            assert_eq!(error, wrong, "{text}");
            assert!(!format!("{error} {error:?}").contains("s3cret"));
        }
        let many = vec!["b"; BROKERS_MAX + 1].join(",");
        assert_eq!(BusPlace::parse(&format!("nats://{many}")), Err(BusError::Brokers));
        assert!(BusPlace::parse(&format!("nats://{}", &many[2..])).is_ok());
    }
}
