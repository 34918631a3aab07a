//! The wall clock, and times as people read them.

use jiff::Timestamp;

/// Now, in ms since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0)
}

/// RFC 3339 in UTC, of ms since the Unix epoch.
pub(crate) fn to_rfc3339(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

/// Serde: ms since the Unix epoch inside, RFC 3339 outside.
pub(crate) mod rfc3339 {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::to_rfc3339(*ms))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let time = Timestamp::deserialize(deserializer)?;
        Ok(u64::try_from(time.as_millisecond()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(super::to_rfc3339(1_700_000_000_250), "2023-11-14T22:13:20.25Z");
        assert_eq!(super::to_rfc3339(u64::MAX), jiff::Timestamp::MAX.to_string());
    }
}
