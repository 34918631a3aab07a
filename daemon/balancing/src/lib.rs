//! Which server a client gets. Pure: no socket, no clock, no randomness but
//! what is passed in.
//!
//! ```text
//!  registry ── candidates ──> strategy ── ServerIndex ──> registry: a place under a ticket
//!     ├── counts ──> imbalance
//!     └── standings ──> shadows: imbalance under each of the other strategies
//!                    └─> recorder: a trace, which can be simulated
//! ```
//!
//! A crate of its own, so that the balancer, which decides with it, and the
//! control plane, which checks and foresees with it, have the same code.

mod hash;
pub mod imbalance;
pub mod recorder;
pub mod registry;
pub mod shadow;
pub mod simulate;
pub mod strategy;

use std::ops::RangeInclusive;

/// What a server's weight may be; one outside is a slip of somebody's pen.
pub const WEIGHTS: RangeInclusive<f64> = 0.001..=1_000.0;

/// Whose ticket it is: one client address, as limits count addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HolderKey(pub u128);
