//! The time of day, for what people read and for what expires.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Since 1970; zero on a clock that is set before.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The same in ms.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(now().as_millis()).unwrap_or(u64::MAX)
}
