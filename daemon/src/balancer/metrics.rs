//! What the balancer counts.

use super::{pipe, trial};
use crate::limits::Limit;
use crate::net::door::DoorMetrics;
use fastchat_balancing::strategy::STRATEGIES;
use fastchat_wire::{Code, control::BalancerServer};
use prometheus::{Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use std::collections::BTreeMap;

/// Codes that a client may get from a balancer.
const FAILURES: &[Code] = &[
    Code::BadFrame,
    Code::TooLarge,
    Code::UnknownOp,
    Code::BadRequest,
    Code::RateLimited,
    Code::Overloaded,
    Code::NoServer,
];

/// Name of the clients' listener.
pub(super) const CLIENTS: &str = "clients";
/// Name of the servers' listener.
pub(super) const LINKS: &str = "links";

/// From 10 µs to 0.65 s.
const LATENCY_BUCKETS_S: &[f64] = &[1e-5, 2e-5, 4e-5, 8e-5, 1.6e-4, 6.4e-4, 2.5e-3, 1e-2, 4e-2, 0.16, 0.65];

/// From none to the longest.
const WAIT_BUCKETS_S: &[f64] = &[0.0, 0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Handles on the balancer's metrics; clones count together.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    pub(super) connections: IntGauge,
    pub(super) frames_in: IntCounter,
    pub(super) frames_out: IntCounter,
    pub(super) bytes_in: IntCounter,
    pub(super) bytes_out: IntCounter,
    pub(super) assigns: IntCounterVec,
    pub(super) assign_failures: IntCounterVec,
    pub(super) limited: IntCounterVec,
    pub(super) assign_latency: Histogram,
    pub(super) waits: Histogram,
    pub(super) trial: IntGauge,
    trial_left: Gauge,
    budget_left: IntGaugeVec,
    pub(super) pipes: IntGauge,
    pub(super) piped_bytes: IntCounterVec,
    pub(super) reverts: IntCounterVec,
    pub(super) tickets_redeemed: IntCounter,
    pub(super) tickets_expired: IntCounter,
    pub(super) generation: IntGauge,
    pub(super) doors: DoorMetrics,
    strategy_info: IntGaugeVec,
    balancing_generation: IntGauge,
    servers: IntGauge,
    server_connections: IntGaugeVec,
    server_reserved: IntGaugeVec,
    server_ejected: IntGaugeVec,
    shadow_imbalance: GaugeVec,
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// One is registered already: a fault of ours.
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let gauges = |name: &str, help: &str, label: &str| -> prometheus::Result<IntGaugeVec> {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(gauges.clone()))?;
            Ok(gauges)
        };
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let counters = |name: &str, help: &str, label: &str| -> prometheus::Result<IntCounterVec> {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let options = HistogramOpts::new("fastchat_balancer_assign_latency_seconds", "Time from an assign read to its answer");
        let assign_latency = Histogram::with_opts(options.buckets(LATENCY_BUCKETS_S.to_vec()))?;
        registry.register(Box::new(assign_latency.clone()))?;
        let options = HistogramOpts::new(
            "fastchat_balancer_wait_seconds",
            "How long clients were told to wait before they dial",
        );
        let waits = Histogram::with_opts(options.buckets(WAIT_BUCKETS_S.to_vec()))?;
        registry.register(Box::new(waits.clone()))?;
        let options = Opts::new(
            "fastchat_balancer_shadow_imbalance",
            "What the fullest server has over its part (0.25: a quarter too much): as it is under the strategy in force, as it would be under the others",
        );
        let shadow_imbalance = GaugeVec::new(options, &["strategy"])?;
        registry.register(Box::new(shadow_imbalance.clone()))?;
        let trial_left = Gauge::new(
            "fastchat_balancer_trial_left_seconds",
            "Until a strategy on trial is given up unless it is confirmed; 0 where none is, or it has no deadline",
        )?;
        registry.register(Box::new(trial_left.clone()))?;
        let options = Opts::new(
            "fastchat_balancer_budget_left",
            "Clients that may come to a server at once; below 0, so many are told to wait",
        );
        let budget_left = IntGaugeVec::new(options, &["server", "class"])?;
        registry.register(Box::new(budget_left.clone()))?;
        let metrics = Self {
            connections: gauge("fastchat_balancer_connections", "Clients connected to the balancer")?,
            frames_in: counter("fastchat_balancer_frames_in_total", "Frames read from clients")?,
            frames_out: counter("fastchat_balancer_frames_out_total", "Frames written to clients")?,
            bytes_in: counter("fastchat_balancer_bytes_in_total", "Bytes read from clients")?,
            bytes_out: counter("fastchat_balancer_bytes_out_total", "Bytes written to clients")?,
            assigns: counters("fastchat_balancer_assigns_total", "Clients sent to each server", "server")?,
            assign_failures: counters("fastchat_balancer_assign_failures_total", "Clients answered with an error", "code")?,
            limited: counters("fastchat_balancer_limited_total", "What clients were not given, by limit", "limit")?,
            assign_latency,
            waits,
            pipes: gauge("fastchat_balancer_pipes", "Clients piped to their servers")?,
            piped_bytes: counters("fastchat_balancer_piped_bytes_total", "Bytes piped, by direction", "direction")?,
            trial_left,
            budget_left,
            trial: gauge("fastchat_balancer_trial", "1 while the strategy in force is on trial")?,
            reverts: counters(
                "fastchat_balancer_reverts_total",
                "Strategies on trial that were given up, by cause",
                "cause",
            )?,
            strategy_info: gauges(
                "fastchat_balancer_strategy_info",
                "1 for the strategy in force, 0 for the others",
                "strategy",
            )?,
            balancing_generation: gauge(
                "fastchat_balancer_balancing_generation",
                "Generation of the balancing document in force",
            )?,
            servers: gauge("fastchat_balancer_servers", "Servers attached")?,
            server_connections: gauges(
                "fastchat_balancer_server_connections",
                "Connections that each server reports",
                "server",
            )?,
            server_reserved: gauges("fastchat_balancer_server_reserved", "Tickets out for each server", "server")?,
            server_ejected: gauges(
                "fastchat_balancer_server_ejected",
                "1 where a server gets no clients as nobody arrives there",
                "server",
            )?,
            shadow_imbalance,
            tickets_redeemed: counter("fastchat_balancer_tickets_redeemed_total", "Tickets that became connections")?,
            tickets_expired: counter("fastchat_balancer_tickets_expired_total", "Tickets that nobody used")?,
            generation: gauge("fastchat_balancer_generation", "Generation of the spec in force")?,
            doors: DoorMetrics::register(registry, "balancer", &[CLIENTS, LINKS])?,
        };
        for code in FAILURES {
            metrics.assign_failures.with_label_values(&[code.as_str()]);
        }
        for direction in [pipe::UP, pipe::DOWN] {
            metrics.piped_bytes.with_label_values(&[direction]);
        }
        for cause in trial::CAUSES {
            metrics.reverts.with_label_values(&[cause]);
        }
        for limit in Limit::BALANCER {
            metrics.limited.with_label_values(&[limit.as_str()]);
        }
        Ok(metrics)
    }

    /// Shows which strategy is in force.
    pub(super) fn show_strategy(&self, in_force: &str, generation: u64) {
        for entry in STRATEGIES {
            let name = entry.info.name;
            self.strategy_info.with_label_values(&[name]).set((name == in_force).into());
        }
        self.balancing_generation.set(as_gauge(generation));
    }

    /// Shows the attached servers, and no more those that were `shown` and are gone.
    pub(super) fn show_servers(&self, shown: &[BalancerServer], servers: &[BalancerServer], ejected: &[String]) {
        self.servers.set(as_gauge(servers.len() as u64));
        for gone in shown.iter().filter(|known| servers.iter().all(|server| server.name != known.name)) {
            // They fail only where there is nothing to remove.
            let _ = self.server_connections.remove_label_values(&[&gone.name]);
            let _ = self.server_reserved.remove_label_values(&[&gone.name]);
            let _ = self.server_ejected.remove_label_values(&[&gone.name]);
        }
        for server in servers {
            let labels = [server.name.as_str()];
            self.assigns.with_label_values(&labels);
            self.server_connections.with_label_values(&labels).set(as_gauge(server.connections));
            self.server_reserved.with_label_values(&labels).set(as_gauge(server.reserved));
            let is_ejected = ejected.contains(&server.name);
            let before = self.server_ejected.with_label_values(&labels);
            if is_ejected && before.get() == 0 {
                tracing::warn!(server = server.name, "clients don't arrive at a server: it gets none for a while");
            }
            before.set(is_ejected.into());
        }
    }

    /// Shows how long a trial has left (ms).
    pub(super) fn show_trial(&self, left_ms: Option<u64>) {
        self.trial_left.set(left_ms.map_or(0.0, |ms| ms as f64 / 1e3));
    }

    /// Shows what is left of the servers' budgets, and no more of those that were `shown` and are gone.
    pub(super) fn show_budgets(&self, shown: &[BudgetLeft], left: &[BudgetLeft]) {
        let is_of = |a: &BudgetLeft, b: &BudgetLeft| a.server == b.server && a.class == b.class;
        for gone in shown.iter().filter(|known| !left.iter().any(|budget| is_of(budget, known))) {
            // It fails only where there is nothing to remove.
            let _ = self.budget_left.remove_label_values(&[&gone.server, gone.class]);
        }
        for budget in left {
            let labels = [budget.server.as_str(), budget.class];
            self.budget_left.with_label_values(&labels).set(budget.clients);
        }
    }

    /// Shows how uneven the servers are, and would be.
    pub(super) fn show_imbalance(&self, imbalance: &BTreeMap<String, f64>) {
        for (strategy, imbalance) in imbalance {
            self.shadow_imbalance.with_label_values(&[strategy]).set(*imbalance);
        }
    }
}

/// What is left of one server's budget for one class of arrivals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BudgetLeft {
    /// The server.
    pub(super) server: String,
    /// `resume` or `sign-in`.
    pub(super) class: &'static str,
    /// Clients that may come at once; below 0, so many are told to wait.
    pub(super) clients: i64,
}

/// Gauges hold integers up to 2^63; none of our counts comes near.
pub(super) fn as_gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
