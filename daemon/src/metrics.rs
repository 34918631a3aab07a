//! The registry that every process starts with: its own CPU, memory, descriptors, and its version.

use fastchat_wire::control::Role;
use prometheus::{IntGaugeVec, Opts, Registry, process_collector::ProcessCollector};

/// Version of the running binary.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A registry with the process's own figures and `fastchat_build_info`.
///
/// # Errors
/// A metric is registered twice: a fault of ours.
pub(crate) fn registry(role: Role) -> prometheus::Result<Registry> {
    let registry = Registry::new();
    registry.register(Box::new(ProcessCollector::for_self()))?;
    let info = IntGaugeVec::new(
        Opts::new("fastchat_build_info", "1; the labels say which role and version run"),
        &["role", "version"],
    )?;
    info.with_label_values(&[role.to_string().as_str(), VERSION]).set(1);
    registry.register(Box::new(info))?;
    Ok(registry)
}
