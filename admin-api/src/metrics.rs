//! The control plane's figures. Every name stands here once.

use crate::https::DoorMetrics;
use crate::look::State;
use crate::operation::OperationState;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    process_collector::ProcessCollector,
};
use std::time::Duration;

/// Version of the running binary.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Seconds: quick reads, commits, and long polls (up to half a minute).
const BUCKETS: [f64; 11] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.5, 30.5];

/// Methods that have a label of their own.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "HEAD"];

/// The control plane's figures.
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    duration: HistogramVec,
    generation: IntGauge,
    servers: IntGaugeVec,
    operations: IntGaugeVec,
    door: DoorMetrics,
}

impl Metrics {
    /// All at 0; `routes` are those that requests are counted by: path, method, usual status.
    ///
    /// # Errors
    /// A name is registered twice: a fault of ours.
    pub(crate) fn new(routes: &[(&str, &str, u16)]) -> prometheus::Result<Self> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let info = IntGaugeVec::new(
            Opts::new("fastchat_build_info", "1; the labels say which role and version run"),
            &["role", "version"],
        )?;
        info.with_label_values(&["control", VERSION]).set(1);
        let requests = IntCounterVec::new(
            Opts::new(
                "fastchat_admin_http_requests_total",
                "Requests answered, by route, method and status",
            ),
            &["route", "method", "status"],
        )?;
        let duration = HistogramVec::new(
            HistogramOpts::new(
                "fastchat_admin_http_request_duration_seconds",
                "Time to answer, long polls included",
            )
            .buckets(BUCKETS.into()),
            &["route"],
        )?;
        let generation = IntGauge::new("fastchat_admin_generation", "Generation of the desired state")?;
        let servers = IntGaugeVec::new(Opts::new("fastchat_admin_servers", "Chat servers in each state"), &["state"])?;
        let operations = IntGaugeVec::new(Opts::new("fastchat_admin_operations", "Operations in each state"), &["state"])?;
        for (route, method, status) in routes {
            requests.with_label_values(&[*route, *method, status.to_string().as_str()]);
            duration.with_label_values(&[*route]);
        }
        let door = DoorMetrics::register(&registry)?;
        registry.register(Box::new(info))?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(generation.clone()))?;
        registry.register(Box::new(servers.clone()))?;
        registry.register(Box::new(operations.clone()))?;
        let metrics = Self {
            registry,
            requests,
            duration,
            generation,
            servers,
            operations,
            door,
        };
        metrics.observe(0, &[], &[]);
        Ok(metrics)
    }

    /// What the listener counts.
    pub(crate) fn door(&self) -> DoorMetrics {
        self.door.clone()
    }

    /// Counts a request.
    pub(crate) fn request(&self, route: &str, method: &str, status: u16, took: Duration) {
        // A client can make up methods; labels stay few.
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or("other");
        self.requests.with_label_values(&[route, method, status.to_string().as_str()]).inc();
        self.duration.with_label_values(&[route]).observe(took.as_secs_f64());
    }

    /// Takes what the fleet looks like now.
    pub(crate) fn observe(&self, generation: u64, servers: &[State], operations: &[(OperationState, u64)]) {
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        for state in State::ALL {
            let count = servers.iter().filter(|server| **server == state).count();
            self.servers
                .with_label_values(&[state.as_str()])
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        for state in OperationState::ALL {
            let count = operations.iter().find(|(known, _)| *known == state).map_or(0, |(_, count)| *count);
            self.operations
                .with_label_values(&[state.as_str()])
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// As Prometheus reads them: media type and text.
    ///
    /// # Errors
    /// A figure can't be written: a fault of ours.
    pub(crate) fn render(&self) -> prometheus::Result<(String, Vec<u8>)> {
        let encoder = TextEncoder::new();
        let mut text = Vec::new();
        encoder.encode(&self.registry.gather(), &mut text)?;
        Ok((encoder.format_type().to_owned(), text))
    }
}
