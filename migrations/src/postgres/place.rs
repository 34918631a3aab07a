//! Which PostgreSQL database, and by how many connections.

use super::tls;
use crate::OpenError;
use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use std::{fmt, str::FromStr};

/// Connections of one process, unless told otherwise.
const CONNECTIONS: u32 = 8;

/// What `connections` may be.
const CONNECTIONS_RANGE: std::ops::RangeInclusive<u32> = 2..=64;

/// The URL's parameter for it.
const CONNECTIONS_PARAMETER: &str = "connections";

/// A PostgreSQL database. Its `Debug` and `Display` show no password.
#[derive(Clone)]
pub(crate) struct PostgresPlace {
    pub(crate) options: PgConnectOptions,
    /// Connections that one process may have.
    pub(crate) connections_max: u32,
}

impl PostgresPlace {
    /// `postgres://USER:PASSWORD@HOST:PORT/NAME?connections=N`, and what else libpq knows of such URLs:
    /// `?host=/run/postgresql` for a socket's folder, `application_name`, `sslmode`, `sslrootcert`.
    ///
    /// # Errors
    /// Says what is wrong, without the URL.
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
        let (url, connections_max) = take_connections(url)?;
        // The parser's own errors don't repeat the URL, but they needn't promise it: say what it must be.
        let options = PgConnectOptions::from_str(&url).map_err(|_| bad("write it as postgres://USER:PASSWORD@HOST:PORT/NAME"))?;
        if options.get_database().is_none() {
            return Err(bad("it names no database: write it as postgres://USER@HOST/NAME"));
        }
        let mode = tls::mode(&options, tls::Named::of(&url));
        let options = options.ssl_mode(mode);
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("fastchat"),
        };
        Ok(Self {
            options: options.disable_statement_logging(),
            connections_max,
        })
    }
}

/// Our own parameter, and the URL without it.
fn take_connections(url: &str) -> Result<(String, u32), OpenError> {
    let Some((place, parameters)) = url.split_once('?') else {
        return Ok((url.to_owned(), CONNECTIONS));
    };
    let mut connections = CONNECTIONS;
    let mut others = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.split_once('=') {
            Some((CONNECTIONS_PARAMETER, number)) => {
                let number = number.parse().ok().filter(|number| CONNECTIONS_RANGE.contains(number));
                connections = number.ok_or_else(|| bad("connections must be a number from 2 to 64"))?;
            }
            _ => others.push(parameter),
        }
    }
    if others.is_empty() {
        return Ok((place.to_owned(), connections));
    }
    Ok((format!("{place}?{}", others.join("&")), connections))
}

fn bad(what: &str) -> OpenError {
    OpenError::BadPostgresUrl(what.to_owned())
}

impl fmt::Display for PostgresPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self
            .options
            .get_socket()
            .map_or_else(|| self.options.get_host().to_owned(), |socket| socket.display().to_string());
        write!(
            f,
            "PostgreSQL database {} of {} at {host}:{}",
            self.options.get_database().unwrap_or_default(),
            self.options.get_username(),
            self.options.get_port()
        )
    }
}

impl fmt::Debug for PostgresPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PostgresPlace({self}, password [redacted], {} connections)",
            self.connections_max
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for url in [
            "postgres://chat:s3cret@db.example:5433/fastchat",
            "postgresql://chat@db.example:5433/fastchat?password=s3cret&connections=4",
        ] {
            let place = PostgresPlace::parse(url).unwrap();
            let shown = format!("{place} {place:?} {}", crate::shown(url));
            assert!(!shown.contains("s3cret"), "{shown}");
            assert!(shown.contains("db.example:5433") && shown.contains("fastchat"), "{shown}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_url() {
        for (url, what) in [
            ("postgres://chat:s3cret@db", "names no database"),
            ("postgres://chat:s3cret@db:port/x", "write it as"),
            ("postgres://chat:s3cret@db/x?sslmode=maybe", "write it as"),
            ("postgres://chat:s3cret@db/x?connections=1", "from 2 to 64"),
            ("postgres://chat:s3cret@db/x?connections=many", "from 2 to 64"),
        ] {
            let error = PostgresPlace::parse(url).unwrap_err().to_string();
            assert!(error.contains(what) && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_process_has_a_bounded_number_of_connections() {
        let of = |url| PostgresPlace::parse(url).unwrap().connections_max;
        assert_eq!(of("postgres://db/x"), 8);
        assert_eq!(of("postgres://db/x?connections=64"), 64);
        assert_eq!(of("postgres:///x?host=/run/postgresql&connections=2"), 2);
    }
}
