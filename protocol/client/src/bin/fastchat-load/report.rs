//! The figures of a run, for people and for scripts. Pure.

use crate::{
    processes::{CpuSeconds, MemoryBytes},
    tally::{Latencies, Tally},
};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    time::Duration,
};

/// Quantiles in µs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

impl Quantiles {
    /// Of what was recorded; `None` of nothing.
    pub(crate) fn of(latencies: &Latencies) -> Option<Self> {
        let read = |histogram: &Histogram<u64>| Self {
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        };
        latencies.with(|histogram| (!histogram.is_empty()).then(|| read(histogram)))
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |us: u64| us as f64 / 1_000.0;
        write!(
            f,
            "p50 {:.2}  p99 {:.2}  p99.9 {:.2}  max {:.2} ms",
            ms(self.p50),
            ms(self.p99),
            ms(self.p999),
            ms(self.max)
        )
    }
}

/// The figures of a run; what a mode does not measure is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Report {
    /// The mode.
    pub(crate) mode: &'static str,
    /// How long was measured, without warm-up and without the wait for the last messages.
    pub(crate) seconds: f64,
    /// Ended before its time: by a signal, or because a connection was lost.
    pub(crate) interrupted: bool,
    #[serde(flatten)]
    pub(crate) messages: Option<Messages>,
    #[serde(flatten)]
    pub(crate) operations: Option<Operations>,
    /// Connections that were held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connections: Option<usize>,
    /// Private memory of the servers for each of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes_per_connection: Option<u64>,
    /// CPU seconds by part, for 1,000 messages delivered, or 1,000 operations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) cpu_s_per_1000: BTreeMap<&'static str, f64>,
    /// CPU seconds by part.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) cpu_s: BTreeMap<&'static str, f64>,
    /// Private memory by part at the end, in bytes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) memory_bytes: BTreeMap<&'static str, u64>,
    /// Errors by code.
    pub(crate) errors: BTreeMap<&'static str, u64>,
    /// What `check` did and found.
    #[serde(flatten)]
    pub(crate) check: Option<Checked>,
    /// The clients of `herd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) herd: Option<Herd>,
    /// The crowd of `hostile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hostile: Option<Hostile>,
}

/// How the clients of `herd` came back and moved.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Herd {
    /// Connections that were lost.
    pub(crate) lost: u64,
    /// The most that were lost at a time.
    pub(crate) away_most: u64,
    /// Clients that were not back at the end.
    pub(crate) away_at_end: u64,
    /// The longest time from the first loss until nobody was away.
    pub(crate) all_back_s: f64,
    /// The most that came back in one second.
    pub(crate) peak_per_s: u64,
    /// Attempts that failed, refused or for want of a server.
    pub(crate) tries_again: u64,
    /// From the loss of a connection until it was signed in again.
    pub(crate) return_us: Option<Quantiles>,
    /// Clients that moved because they were asked to.
    pub(crate) moved: u64,
    /// From being asked to move until it was signed in elsewhere; it was served all the while.
    pub(crate) handoff_us: Option<Quantiles>,
}

/// The crowd of `hostile`, and what it did to the others.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Hostile {
    /// Clients that never read.
    pub(crate) readers: usize,
    /// Clients that never finish a frame.
    pub(crate) unfinished: usize,
    /// Connections of them at the end.
    pub(crate) held: u64,
    /// Connections of them that a server ended.
    pub(crate) closed: u64,
    /// Connections of them that a server did not take.
    pub(crate) refused: u64,
    /// The 99th percentile of send to deliver beside them, to that without.
    pub(crate) p99_ratio: Option<f64>,
    /// The load's figures before they came.
    pub(crate) without: Option<Messages>,
}

/// Figures of modes that send.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Messages {
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    pub(crate) delivered: u64,
    pub(crate) acknowledged_per_s: f64,
    pub(crate) delivered_per_s: f64,
    pub(crate) send_to_stored_us: Option<Quantiles>,
    pub(crate) send_to_deliver_us: Option<Quantiles>,
    /// Entries that came by fetch: their push was lost.
    pub(crate) fetched: u64,
    /// Acknowledged, and not delivered to somebody.
    pub(crate) missing: u64,
    /// Delivered twice.
    pub(crate) duplicates: u64,
    /// Delivered after a later one of the same sender.
    pub(crate) out_of_order: u64,
}

/// Figures of modes that repeat one operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Operations {
    pub(crate) operations: u64,
    pub(crate) operations_per_s: f64,
    pub(crate) operation_us: Option<Quantiles>,
}

/// What `check` did and found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Checked {
    /// Connections that were lost and opened again.
    pub(crate) reconnects: u64,
    /// From a connection's loss, or the request to move, until the next one was signed in: no message is later than
    /// its sender and its reader were away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) away_us: Option<Quantiles>,
    /// Appends that were sent again because their outcome was unknown.
    pub(crate) sent_again: u64,
    /// Servers that were killed by this program.
    pub(crate) kills: u64,
    /// Appends whose outcome stayed unknown.
    pub(crate) unacknowledged: u64,
    /// The first of what is wrong, for people.
    pub(crate) findings: Vec<String>,
}

/// What the counters say of the time that was measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// How long.
    pub(crate) time: Duration,
    /// It ended before its time.
    pub(crate) interrupted: bool,
}

impl Report {
    /// A report of a mode that sends; what is wrong is added by who knows.
    pub(crate) fn of_messages(mode: &'static str, measured: Measured, tally: &Tally) -> Self {
        let seconds = measured.time.as_secs_f64();
        Self {
            messages: Some(Messages {
                sent: tally.sent.get(),
                acknowledged: tally.acknowledged.get(),
                delivered: tally.delivered.get(),
                acknowledged_per_s: per_s(tally.acknowledged.get(), seconds),
                delivered_per_s: per_s(tally.delivered.get(), seconds),
                send_to_stored_us: Quantiles::of(&tally.to_stored),
                send_to_deliver_us: Quantiles::of(&tally.to_deliver),
                fetched: tally.fetched.get(),
                ..Messages::default()
            }),
            ..Self::of(mode, measured, tally)
        }
    }

    /// A report of a mode that repeats one operation.
    pub(crate) fn of_operations(mode: &'static str, measured: Measured, tally: &Tally) -> Self {
        let operations = tally.operations.get();
        Self {
            operations: Some(Operations {
                operations,
                operations_per_s: per_s(operations, measured.time.as_secs_f64()),
                operation_us: Quantiles::of(&tally.operation),
            }),
            ..Self::of(mode, measured, tally)
        }
    }

    /// A report with nothing but time and errors.
    pub(crate) fn of(mode: &'static str, measured: Measured, tally: &Tally) -> Self {
        Self {
            mode,
            seconds: round(measured.time.as_secs_f64(), 3),
            interrupted: measured.interrupted,
            errors: tally.errors(),
            ..Self::default()
        }
    }

    /// Adds what the processes used between two looks.
    #[must_use]
    pub(crate) fn with_cpu(mut self, before: &CpuSeconds, after: &CpuSeconds) -> Self {
        let count = match (&self.messages, &self.operations) {
            (Some(messages), _) => messages.delivered,
            (None, Some(operations)) => operations.operations,
            (None, None) => 0,
        };
        for (role, seconds) in after {
            let used = seconds - before.get(role).copied().unwrap_or(0.0);
            self.cpu_s.insert(role.as_str(), round(used, 2));
            if count > 0 {
                self.cpu_s_per_1000.insert(role.as_str(), round(used * 1_000.0 / count as f64, 5));
            }
        }
        self
    }

    /// Adds the memory that the processes had at the end.
    #[must_use]
    pub(crate) fn with_memory(mut self, memory: &MemoryBytes) -> Self {
        self.memory_bytes = memory.iter().map(|(role, bytes)| (role.as_str(), *bytes)).collect();
        self
    }

    /// True where nothing is missing, doubled or out of order, nobody is away, and no connection was lost that `check`
    /// did not open again.
    pub(crate) fn is_good(&self) -> bool {
        let intact = |messages: &Messages| messages.missing + messages.duplicates + messages.out_of_order == 0;
        let survived = self.check.is_some() || !self.errors.contains_key("connection-lost");
        let all_here = self.herd.as_ref().is_none_or(|herd| herd.away_at_end == 0);
        let sound = self.check.as_ref().is_none_or(|checked| checked.findings.is_empty());
        survived && sound && all_here && self.messages.as_ref().is_none_or(intact)
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| _ = writeln!(text, "{name:<18} {value}");
        line("mode", self.mode.to_owned());
        let early = if self.interrupted { " (interrupted)" } else { "" };
        line("measured", format!("{:.1} s{early}", self.seconds));
        if let Some(messages) = &self.messages {
            line("delivered", format!("{} ({:.0}/s)", messages.delivered, messages.delivered_per_s));
            line(
                "acknowledged",
                format!("{} ({:.0}/s)", messages.acknowledged, messages.acknowledged_per_s),
            );
            for (name, quantiles) in [
                ("send to deliver", messages.send_to_deliver_us),
                ("send to stored", messages.send_to_stored_us),
            ] {
                if let Some(quantiles) = quantiles {
                    line(name, quantiles.to_string());
                }
            }
            line("missing", messages.missing.to_string());
            line("duplicates", messages.duplicates.to_string());
            line("out of order", messages.out_of_order.to_string());
            line("fetched", messages.fetched.to_string());
        }
        if let Some(operations) = &self.operations {
            line(
                "operations",
                format!("{} ({:.0}/s)", operations.operations, operations.operations_per_s),
            );
            if let Some(quantiles) = operations.operation_us {
                line("each took", quantiles.to_string());
            }
        }
        if let Some(connections) = self.connections {
            line("connections", connections.to_string());
        }
        if let Some(bytes) = self.bytes_per_connection {
            line("memory of each", format!("{:.1} KiB of the servers", bytes as f64 / 1_024.0));
        }
        for (role, seconds) in &self.cpu_s_per_1000 {
            line("CPU for 1,000", format!("{seconds:.4} s of {role}"));
        }
        for (role, bytes) in &self.memory_bytes {
            line("memory", format!("{:.1} MiB of {role}", *bytes as f64 / f64::from(1 << 20)));
        }
        for (code, count) in &self.errors {
            line("errors", format!("{count} {code}"));
        }
        if let Some(herd) = &self.herd {
            let all_back = format!(
                "{} of at most {} at a time; all back after {:.1} s",
                herd.lost, herd.away_most, herd.all_back_s
            );
            line("lost", all_back);
            line(
                "came back",
                format!("{} in a second at most, {} tries failed", herd.peak_per_s, herd.tries_again),
            );
            line("moved", herd.moved.to_string());
            for (name, quantiles) in [("loss to return", herd.return_us), ("handoff", herd.handoff_us)] {
                if let Some(quantiles) = quantiles {
                    line(name, quantiles.to_string());
                }
            }
            if herd.away_at_end > 0 {
                line("STILL AWAY", herd.away_at_end.to_string());
            }
        }
        if let Some(hostile) = &self.hostile {
            let Hostile { held, closed, refused, .. } = hostile;
            line("crowd", format!("{held} held, {closed} closed, {refused} not taken"));
            if let Some(quantiles) = hostile.without.as_ref().and_then(|without| without.send_to_deliver_us) {
                line("without it", quantiles.to_string());
            }
            if let Some(ratio) = hostile.p99_ratio {
                line("p99 beside it", format!("{ratio:.2} times as long"));
            }
        }
        if let Some(checked) = &self.check {
            line("reconnects", checked.reconnects.to_string());
            if let Some(quantiles) = checked.away_us {
                line("away", quantiles.to_string());
            }
            line("sent again", checked.sent_again.to_string());
            line("unacknowledged", checked.unacknowledged.to_string());
            for finding in &checked.findings {
                line("WRONG", finding.clone());
            }
        }
        text
    }
}

fn per_s(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { round(count as f64 / seconds, 1) } else { 0.0 }
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{processes::Role, tally::add};
    use serde_json::{Value, json};

    const MEASURED: Measured = Measured {
        time: Duration::from_secs(2),
        interrupted: false,
    };

    fn report() -> Report {
        let tally = Tally::new();
        add(&tally.delivered, 4_000);
        add(&tally.acknowledged, 2_000);
        (1..=1_000).for_each(|ms| tally.to_deliver.record_ns(ms * 1_000_000));
        tally.error("overloaded");
        let before = CpuSeconds::from([(Role::Servers, 10.0)]);
        let after = CpuSeconds::from([(Role::Servers, 11.0), (Role::Database, 0.5)]);
        let memory = MemoryBytes::from([(Role::Servers, 3 << 20)]);
        Report::of_messages("pairs", MEASURED, &tally)
            .with_cpu(&before, &after)
            .with_memory(&memory)
    }

    #[test]
    fn scripts_find_every_figure_at_the_top_level() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["mode"], "pairs");
        assert_eq!(json["delivered_per_s"], 2_000.0);
        assert_eq!(json["acknowledged_per_s"], 1_000.0);
        let p50 = json["send_to_deliver_us"]["p50"].as_u64().unwrap();
        assert!((499_000..=501_000).contains(&p50), "{p50}");
        assert_eq!(json["send_to_stored_us"], Value::Null);
        assert_eq!(json["cpu_s_per_1000"], json!({"servers": 0.25, "database": 0.125}));
        assert_eq!(json["memory_bytes"], json!({"servers": 3 << 20}));
        assert_eq!(json["errors"], json!({"overloaded": 1}));
        assert_eq!((&json["missing"], json.get("bytes_per_connection")), (&json!(0), None));
    }

    #[test]
    fn whatever_is_wrong_makes_a_run_bad() {
        assert!(report().is_good());
        for spoil in [
            |messages: &mut Messages| messages.missing = 1,
            |messages: &mut Messages| messages.duplicates = 1,
            |messages: &mut Messages| messages.out_of_order = 1,
        ] {
            let mut report = report();
            report.messages.as_mut().map(spoil).unwrap();
            assert!(!report.is_good());
        }
        let mut lost = report();
        lost.errors.insert("connection-lost", 1);
        assert!(!lost.is_good());
        lost.check = Some(Checked::default());
        assert!(lost.is_good(), "check opens them again");
        lost.check.as_mut().unwrap().findings.push("…".to_owned());
        assert!(!lost.is_good());
    }

    #[test]
    fn people_read_the_same_figures() {
        let text = report().text();
        for part in ["4000 (2000/s)", "p99 ", "0.2500 s of servers", "3.0 MiB of servers", "1 overloaded"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
}
