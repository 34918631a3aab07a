//! Proof that what was acknowledged was delivered, exactly once and in order.
//!
//! ```text
//!  member (one task each; comes back after every loss) ──┐
//!  killer (SIGKILL to servers)                           ├──> Evidence ──> verdict (pure) ──> findings
//!  readback (all logs, at the end) ──────────────────────┘       └──> a file, to be judged again
//! ```

pub(crate) mod cursor;
pub(crate) mod evidence;
pub(crate) mod killer;
pub(crate) mod member;
pub(crate) mod readback;
pub(crate) mod verdict;
