//! What a bus counts, whichever it is.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, core::Collector};

/// What a bus counts.
#[derive(Debug, Clone)]
pub(crate) struct BusMetrics {
    /// Messages received.
    pub(crate) messages_in: IntCounter,
    /// Messages queued for other servers.
    pub(crate) messages_out: IntCounter,
    /// Messages dropped because a queue was full.
    pub(crate) messages_dropped: IntCounter,
    /// Messages that other servers sent and that never came.
    pub(crate) messages_lost: IntCounter,
    /// Bytes received.
    pub(crate) bytes_in: IntCounter,
    /// Bytes sent.
    pub(crate) bytes_out: IntCounter,
    /// What was refused.
    refused: IntCounterVec,
    /// Links that ended.
    pub(crate) links_ended: IntCounter,
    /// 1 where we hear that peer.
    pub(crate) link_up: IntGaugeVec,
    /// 1 while the bus can be used at all.
    pub(crate) connected: IntGauge,
}

/// Why something was refused: the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It doesn't have the fleet's key.
    Key,
    /// It is of a release that speaks otherwise.
    Version,
    /// It isn't what it should be.
    Malformed,
    /// It was sent before, or by a server that has started again since.
    Stale,
    /// Too many strangers at once.
    TooMany,
}

impl Refused {
    const ALL: [Self; 5] = [Self::Key, Self::Version, Self::Malformed, Self::Stale, Self::TooMany];

    /// The label's value.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Version => "version",
            Self::Malformed => "malformed",
            Self::Stale => "stale",
            Self::TooMany => "too-many",
        }
    }
}

impl BusMetrics {
    /// Registers them, each labelled one at 0.
    ///
    /// # Errors
    /// A metric is registered twice: a fault of ours.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let name = |name: &str| format!("fastchat_server_{name}");
        let counter = |what: &str, help: &str| add(registry, IntCounter::new(name(what), help)?);
        let metrics = Self {
            messages_in: counter("bus_messages_in_total", "Messages received from other servers")?,
            messages_out: counter("bus_messages_out_total", "Messages queued for other servers")?,
            messages_dropped: counter(
                "bus_messages_dropped_total",
                "Messages dropped because another server or the broker reads too slowly",
            )?,
            messages_lost: counter(
                "bus_messages_lost_total",
                "Messages that other servers sent and that never came: their logs were looked at",
            )?,
            bytes_in: counter("bus_bytes_in_total", "Bytes received from other servers")?,
            bytes_out: counter("bus_bytes_out_total", "Bytes sent to other servers")?,
            refused: add(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        name("bus_refused_total"),
                        "Links and messages refused, by reason: key is a stranger, version another release",
                    ),
                    &["reason"],
                )?,
            )?,
            links_ended: counter("bus_links_ended_total", "Times that another server was no longer heard")?,
            link_up: add(
                registry,
                IntGaugeVec::new(Opts::new(name("bus_link_up"), "1 where that server is heard"), &["peer"])?,
            )?,
            connected: add(
                registry,
                IntGauge::new(name("bus_connected"), "1 while the bus can be used: the broker's connection stands")?,
            )?,
        };
        for reason in Refused::ALL {
            metrics.refused.with_label_values(&[reason.as_str()]);
        }
        Ok(metrics)
    }

    /// Counts something refused.
    pub(crate) fn refuse(&self, reason: Refused) {
        self.refused.with_label_values(&[reason.as_str()]).inc();
    }

    /// What was refused for that reason.
    #[cfg(test)]
    pub(crate) fn refused(&self, reason: Refused) -> u64 {
        self.refused.with_label_values(&[reason.as_str()]).get()
    }

    /// Shows whether a peer of the spec is heard.
    pub(crate) fn show(&self, peer: &str, up: bool) {
        self.link_up.with_label_values(&[peer]).set(i64::from(up));
    }

    /// A peer left the spec.
    pub(crate) fn forget(&self, peer: &str) {
        // It may never have been shown.
        let _ = self.link_up.remove_label_values(&[peer]);
    }
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
