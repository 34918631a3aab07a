//! What the balancer grants its peers; the protocol's figures by default.

use fastchat_wire::limits::{DISCARD_MS_MAX, FRAME_MS_MAX, LINK_SILENCE_MS_MAX, LOAD_DELAY_MS_MAX, PING_INTERVAL_MS, SIGN_IN_MS_MAX};
use std::time::Duration;

/// Times and numbers; tests shorten them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Clients connected at a time.
    pub(super) clients_max: usize,
    /// Links at a time.
    pub(super) links_max: usize,
    /// Tickets out at a time.
    pub(super) tickets_max: usize,
    /// Clients piped at a time.
    pub(super) pipes_max: usize,
    /// A piped client's server answers within this time.
    pub(super) pipe_dial: Duration,
    /// A pipe in which nothing moves for this long is closed: on a living one the server pings more often.
    pub(super) pipe_quiet: Duration,
    /// After one half of a pipe has ended the other one has this long.
    pub(super) pipe_end: Duration,
    /// A client without a frame for this long is closed; one that doesn't read its answers too.
    pub(super) quiet: Duration,
    /// A frame completes within this time of its first byte.
    pub(super) frame: Duration,
    /// After a fault of framing input is discarded for this long.
    pub(super) discard: Duration,
    /// A link silent for this long is dead.
    pub(super) link_silence: Duration,
    /// Changed reservations are told within this time.
    pub(super) reserved_delay: Duration,
    /// Between two status reports.
    pub(super) report_interval: Duration,
    /// Between two looks at the certificate's files.
    pub(super) look: Duration,
    /// What is still being written at the end may take so long.
    pub(super) stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients_max: 10_000,
            links_max: 1_000,
            tickets_max: 100_000,
            pipes_max: 5_000,
            pipe_dial: Duration::from_secs(5),
            pipe_quiet: Duration::from_millis(3 * PING_INTERVAL_MS),
            pipe_end: Duration::from_secs(10),
            quiet: Duration::from_millis(SIGN_IN_MS_MAX),
            frame: Duration::from_millis(FRAME_MS_MAX),
            discard: Duration::from_millis(DISCARD_MS_MAX),
            link_silence: Duration::from_millis(LINK_SILENCE_MS_MAX),
            reserved_delay: Duration::from_millis(LOAD_DELAY_MS_MAX),
            report_interval: Duration::from_millis(250),
            look: Duration::from_secs(1),
            stop: Duration::from_secs(2),
        }
    }
}
