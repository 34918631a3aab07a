//! The host agent: keeps the instances running that its spec names, and no others.
//!
//! ```text
//!  spec ──┐
//!  ledger ┼─> reconcile::plan (pure) ──actions──> ledger (fsync) ──> launcher
//!  world ─┘        ▲                                                    │
//!                  └─────────── observe: who holds which lock ──────────┘
//! ```
//!
//! An action stands in the ledger before it is done, and every step may be
//! repeated: an agent that dies at any point is followed by one that looks at the
//! locks and goes on. Instances are processes of their own and outlive the agent.
//!
//! The agent serves nobody: it writes its small files on its own thread.

mod desired;
mod launcher;
mod ledger;
mod measures;
mod reconcile;
mod run;
mod state;

pub(crate) use run::run;
