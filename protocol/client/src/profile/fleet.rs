//! How the fleet was reached last.

use super::{
    Profile,
    rows::{self, ONLY},
};
use crate::{config::Config, problem::Problem, tls::Tls};
use fastchat_e2e::store::Table;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// → the balancer that was used last.
const BALANCER: Table = Table::new("balancer");
/// → what of TLS that fleet needs to be told; none where the default will do.
const TLS: Table = Table::new("tls");

/// Where a fleet on this machine answers.
pub const BALANCER_DEFAULT: &str = "127.0.0.1:7101";

/// TLS to this machine too, and whom to trust.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    ca: Option<PathBuf>,
}

impl Profile {
    /// The balancer that was used last.
    ///
    /// # Errors
    /// [`Problem::Store`].
    pub fn balancer(&self) -> Result<Option<String>, Problem> {
        self.read(|tx| rows::get(tx, BALANCER, ONLY))
    }

    /// What that fleet needs of TLS.
    ///
    /// # Errors
    /// [`Problem::Store`].
    pub fn tls(&self) -> Result<Tls, Problem> {
        let kept: Option<Kept> = self.read(|tx| rows::get(tx, TLS, ONLY))?;
        Ok(match kept {
            None => Tls::default(),
            Some(Kept { ca: None }) => Tls::always(),
            Some(Kept { ca: Some(ca) }) => Tls::by(ca),
        })
    }

    /// How the fleet was reached last; where it never was, that of this machine.
    ///
    /// # Errors
    /// [`Problem::Store`].
    pub fn config(&self) -> Result<Config, Problem> {
        let balancer = self.balancer()?;
        Ok(Config {
            tls: self.tls()?,
            ..Config::new(balancer.as_deref().unwrap_or(BALANCER_DEFAULT))?
        })
    }

    /// Keeps balancer and TLS for the next time.
    ///
    /// # Errors
    /// [`Problem::Store`].
    pub fn save_fleet(&self, balancer: &str, tls: &Tls) -> Result<(), Problem> {
        self.write(|tx| {
            rows::put(tx, BALANCER, ONLY, &balancer)?;
            if tls.is_always() {
                let ca = tls.ca().map(PathBuf::from);
                rows::put(tx, TLS, ONLY, &Kept { ca })?;
            } else {
                tx.delete(TLS, ONLY)?;
            }
            Ok(())
        })
    }
}
