//! Chaos: whoever makes up a fleet is killed at random under load, and not one message is lost, doubled or out of order.
//!
//! `FASTCHAT_CHAOS_SEED=N` repeats the plan of a seed; a failed test prints it. `make soak` is the same for longer.

pub(crate) mod plan;
pub(crate) mod storm;
pub(crate) mod victims;
