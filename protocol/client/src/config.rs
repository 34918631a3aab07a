//! Where the fleet is, and how patient a client is.

use crate::{address::Address, error::Error, limits::BALANCERS_MAX, tls::Tls, waits::Waits};
use fastchat_wire::limits::{HINT_BYTES_MAX, LABEL_BYTES_MAX};
use std::time::Duration;

/// How to reach a fleet.
#[derive(Debug, Clone)]
pub struct Config {
    /// The balancers: any of them will do.
    pub balancers: Vec<Address>,
    /// Which connections are TLS; those to other machines always, unless the next one says no.
    pub tls: Tls,
    /// Dial addresses that are not loopback without TLS: whoever is on the way
    /// reads names, times and sizes, and can take over the session.
    pub allow_plaintext: bool,
    /// The client's name and version, for people; at most
    /// [`LABEL_BYTES_MAX`] bytes.
    pub agent: String,
    /// Feeds the sticky strategies; at most [`HINT_BYTES_MAX`] bytes.
    pub hint: Option<String>,
    /// Bring the account's archive too: all of its history, entry by entry.
    pub follow_archive: bool,
    /// Time-outs and pauses.
    pub timing: Timing,
    /// Where is said that the fleet asks to wait; clones of a configuration say it in the same place.
    pub waits: Waits,
}

/// Time-outs and pauses.
#[derive(Debug, Clone)]
pub struct Timing {
    /// For one address to answer.
    pub dial: Duration,
    /// For a balancer to answer `assign`, and for a server to answer `hello`.
    pub enter: Duration,
    /// For one request to be answered.
    pub request: Duration,
    /// Write, and no byte leaves for so long: the connection ends.
    pub write_stall: Duration,
    /// First pause after a failure; doubles with each further one.
    pub backoff_min: Duration,
    /// Longest pause after a failure.
    pub backoff_max: Duration,
    /// A connection that lived so long makes earlier failures forgotten.
    pub settled: Duration,
    /// When such a one is lost, a balancer is asked at a random moment within so long: whoever
    /// else was on that server asks, too.
    pub scatter: Duration,
    /// A server that was left for another one may still answer what was asked for so long.
    pub farewell: Duration,
    /// A hole in a log that is being sent to is fetched after so long: the answer may fill it.
    pub hole_patience: Duration,
    /// What was processed is told to the fleet after so long, together.
    pub marks: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            dial: Duration::from_secs(5),
            enter: Duration::from_secs(10),
            request: Duration::from_secs(60),
            write_stall: Duration::from_secs(30),
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(30),
            settled: Duration::from_secs(10),
            scatter: Duration::from_secs(1),
            farewell: Duration::from_secs(5),
            hole_patience: Duration::from_millis(100),
            marks: Duration::from_secs(2),
        }
    }
}

impl Config {
    /// A fleet behind one balancer, with the defaults.
    ///
    /// # Errors
    /// [`Error::Usage`] where the address is none.
    pub fn new(balancer: &str) -> Result<Self, Error> {
        Ok(Self {
            balancers: vec![balancer.parse()?],
            tls: Tls::default(),
            allow_plaintext: false,
            agent: concat!("fastchat-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            hint: None,
            follow_archive: false,
            timing: Timing::default(),
            waits: Waits::default(),
        })
    }

    /// Refuses what no balancer or server would take.
    ///
    /// # Errors
    /// [`Error::Usage`] with what to change.
    pub fn check(&self) -> Result<(), Error> {
        if self.balancers.is_empty() || self.balancers.len() > BALANCERS_MAX {
            return Err(Error::Usage(format!("name 1 to {BALANCERS_MAX} balancers")));
        }
        if self.agent.len() > LABEL_BYTES_MAX {
            return Err(Error::Usage(format!("agent has more than {LABEL_BYTES_MAX} bytes: shorten it")));
        }
        if self.hint.as_ref().is_some_and(|hint| hint.len() > HINT_BYTES_MAX) {
            return Err(Error::Usage(format!("hint has more than {HINT_BYTES_MAX} bytes: shorten it")));
        }
        Ok(())
    }
}
