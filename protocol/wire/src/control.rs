//! The documents of the control link: one down (spec), one up (status).
//!
//! ```text
//!  control plane ── Spec  {store, generation, role's part} ──> agent | balancer | server
//!                <─ Status {applied_generation, state, role's part} ──
//! ```
//!
//! A process long-polls `GET /v1/control/{role}/{name}/spec?after=GENERATION`
//! ([`spec_path`]) with its bearer token (200 with a [`Spec`], or 204 where
//! nothing changed within [`SPEC_WAIT_MS`]), caches the last one on disk, and
//! posts its [`Status`] to [`status_path`] on every change and every
//! [`STATUS_INTERVAL_MS`]. A spec with another `store` or an older `generation`
//! than the one in force is ignored. JSON keys are snake_case.

mod blob_policy;
mod bus;
mod fault;
pub mod limits;
mod spec;
mod status;
mod trial;

pub use blob_policy::BlobPolicy;
pub use bus::{BusError, BusPlace, NatsLogin, NatsPlace, PlainBroker};
pub use fault::Fault;
pub use limits::Limits;
pub use spec::{AgentSpec, BalancerSpec, Balancing, Drain, InstanceSpec, Part, Peer, Role, ServerSpec, Shed, Spec};
pub use status::{
    AgentStatus, BalancerServer, BalancerStatus, InstanceState, InstanceStatus, ProcessState, ServerStatus, ShedStatus, Status, StatusPart,
};
pub use trial::{Guard, Reverted, Trial};

/// How long the control plane holds a spec request that has nothing new.
pub const SPEC_WAIT_MS: u64 = 25_000;
/// A status follows at least this often.
pub const STATUS_INTERVAL_MS: u64 = 2_000;
/// Without a status for this long a process counts as lost.
pub const STATUS_SILENCE_MS_MAX: u64 = 10_000;

/// Where a process reads its spec.
#[must_use]
pub fn spec_path(role: Role, name: &str) -> String {
    format!("/v1/control/{role}/{name}/spec")
}

/// Where a process posts its status.
#[must_use]
pub fn status_path(role: Role, name: &str) -> String {
    format!("/v1/control/{role}/{name}/status")
}
