//! Whether and how the connection to PostgreSQL is sealed.
//!
//! ```text
//!  sslmode=       on this machine           over a network
//!  (none)         plain                     as require
//!  disable        plain                     plain: it was named
//!  allow, prefer  TLS where it is offered   as require: never plain by itself
//!  require        TLS, whoever answers; with sslrootcert as verify-ca
//!  verify-ca      TLS, and a certificate of sslrootcert or of this system's authorities
//!  verify-full    the same, and it names the host
//! ```

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::net::IpAddr;

/// What the URL itself names; the environment's `PGSSLMODE` doesn't count as a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    mode: bool,
    authority: bool,
}

impl Named {
    /// Looks into a URL's parameters.
    pub(super) fn of(url: &str) -> Self {
        let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
        let names = |wanted: &[&str]| {
            let mut keys = parameters.split('&').filter_map(|parameter| Some(parameter.split_once('=')?.0));
            keys.any(|key| wanted.contains(&key))
        };
        Self {
            mode: names(&["sslmode", "ssl-mode"]),
            authority: names(&["sslrootcert", "ssl-root-cert", "ssl-ca"]),
        }
    }
}

/// The mode that is used.
pub(super) fn mode(options: &PgConnectOptions, named: Named) -> PgSslMode {
    let asked = named.mode.then(|| options.get_ssl_mode());
    match asked {
        Some(mode @ (PgSslMode::Disable | PgSslMode::VerifyCa | PgSslMode::VerifyFull)) => mode,
        _ if named.authority => PgSslMode::VerifyCa,
        None if is_local(options) => PgSslMode::Disable,
        Some(mode) if is_local(options) => mode,
        _ => PgSslMode::Require,
    }
}

/// A socket, or an address of this machine alone.
fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_start_matches('[').trim_end_matches(']');
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::PostgresPlace;

    fn mode_of(url: &str) -> &'static str {
        match PostgresPlace::parse(url).unwrap().options.get_ssl_mode() {
            PgSslMode::Disable => "disable",
            PgSslMode::Allow => "allow",
            PgSslMode::Prefer => "prefer",
            PgSslMode::Require => "require",
            PgSslMode::VerifyCa => "verify-ca",
            PgSslMode::VerifyFull => "verify-full",
        }
    }

    #[test]
    fn a_network_is_crossed_in_the_clear_only_where_the_url_says_so() {
        assert_eq!(mode_of("postgres://db.example/x?sslmode=disable"), "disable");
        for plain in ["", "?connections=4", "?sslmode=prefer", "?sslmode=allow", "?sslmode=require"] {
            assert_eq!(mode_of(&format!("postgres://db.example/x{plain}")), "require", "{plain}");
            assert_eq!(mode_of(&format!("postgres://192.0.2.1/x{plain}")), "require", "{plain}");
        }
        for strict in ["verify-ca", "verify-full"] {
            assert_eq!(mode_of(&format!("postgres://db.example/x?sslmode={strict}")), strict);
        }
    }

    #[test]
    fn on_this_machine_it_is_as_the_url_says_and_plain_by_itself() {
        for host in ["localhost", "127.0.0.1", "[::1]", "localhost:5433"] {
            assert_eq!(mode_of(&format!("postgres://{host}/x")), "disable", "{host}");
            assert_eq!(mode_of(&format!("postgres://{host}/x?sslmode=prefer")), "prefer", "{host}");
            assert_eq!(
                mode_of(&format!("postgres://{host}/x?sslmode=verify-full")),
                "verify-full",
                "{host}"
            );
        }
        assert_eq!(mode_of("postgres:///x?host=/run/postgresql"), "disable");
    }

    #[test]
    fn who_names_an_authority_has_it_asked() {
        for with in [
            "sslrootcert=/ca.pem",
            "sslmode=require&sslrootcert=/ca.pem",
            "sslmode=prefer&ssl-ca=/ca.pem",
        ] {
            assert_eq!(mode_of(&format!("postgres://localhost/x?{with}")), "verify-ca", "{with}");
        }
    }
}
