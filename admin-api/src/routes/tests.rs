//! Every route over a real database, without sockets.

mod balancing;
mod control;
mod errors;
mod fleet;
mod harness;
mod limits;
mod operations;
mod preview;
mod rebalance;
mod trace;
