//! The agent's metrics.

use fastchat_wire::control::InstanceState;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

const STATES: [(InstanceState, &str); 4] = [
    (InstanceState::Running, "running"),
    (InstanceState::Crashed, "crashed"),
    (InstanceState::Stopping, "stopping"),
    (InstanceState::Stopped, "stopped"),
];

/// The agent's metrics.
#[derive(Debug)]
pub(super) struct Measures {
    instances: IntGaugeVec,
    restarts: IntCounterVec,
    generation: IntGauge,
}

impl Measures {
    /// Registers them.
    ///
    /// # Errors
    /// One is registered twice: a fault of ours.
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let measures = Self {
            instances: IntGaugeVec::new(
                Opts::new(
                    "fastchat_agent_instances",
                    "Instances that the agent knows of, by what it sees of them",
                ),
                &["state"],
            )?,
            restarts: IntCounterVec::new(
                Opts::new(
                    "fastchat_agent_restarts_total",
                    "Starts that nobody asked for, since the agent started; instances are few",
                ),
                &["instance"],
            )?,
            generation: IntGauge::new("fastchat_agent_generation", "Generation of the spec in force")?,
        };
        registry.register(Box::new(measures.instances.clone()))?;
        registry.register(Box::new(measures.restarts.clone()))?;
        registry.register(Box::new(measures.generation.clone()))?;
        measures.count_states(&[]);
        Ok(measures)
    }

    /// An instance is known: its restarts count from 0.
    pub(super) fn knows(&self, instance: &str) {
        self.restarts.with_label_values(&[instance]);
    }

    /// An instance is started though nobody asked for it.
    pub(super) fn restarts(&self, instance: &str) {
        self.restarts.with_label_values(&[instance]).inc();
    }

    /// The instances as they are.
    pub(super) fn count_states(&self, states: &[InstanceState]) {
        for (state, label) in STATES {
            let count = states.iter().filter(|s| **s == state).count();
            self.instances
                .with_label_values(&[label])
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// The spec in force.
    pub(super) fn follows(&self, generation: u64) {
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
    }
}
