//! How many bytes of blobs there may be, and how long they stay: the part `blobs` of [`Limits`](super::Limits).

use super::Fault;
use crate::limits::{
    BLOB_BYTES_MAX, BLOB_BYTES_PER_ACCOUNT_MAX, BLOB_BYTES_PER_DAY_MAX, BLOB_CHUNK_BYTES_MAX, BLOB_CHUNKS_MAX, BLOB_UPLOAD_MS_MAX,
    BLOB_UPLOADS_PER_ACCOUNT_MAX,
};
use serde::{Deserialize, Serialize};

/// How many bytes of blobs there may be, and how long they stay. A key that is left out has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlobPolicy {
    /// Largest blob in bytes, as it is stored. 0, or above 512 MiB, is taken as 512 MiB.
    pub blob_bytes_max: u64,
    /// Bytes that one account may announce in 24 h; 0 is no limit.
    pub account_bytes_per_day_max: u64,
    /// Bytes of one account that are kept; 0 is no limit.
    pub account_bytes_max: u64,
    /// Blobs of one account that are announced and not whole; 0 is no limit.
    pub account_uploads_max: u64,
    /// A blob that is not whole is removed so many ms after its last piece.
    pub upload_ms: u64,
    /// A whole blob is removed so many ms after its last piece; 0 keeps it.
    pub retention_ms: u64,
    /// So many ms from one look for blobs that are to be removed to the next one.
    pub sweep_ms: u64,
    /// So many ms from one comparison of all blobs with their objects to the next one.
    pub walk_ms: u64,
}

/// Who pauses between two pieces of a blob has at least this long.
const KEPT_MS_MIN: u64 = 60_000;
/// A look at what is due costs a query or two.
const SWEEP_MS_MIN: u64 = 100;
/// A comparison reads every blob's row and every folder.
const WALK_MS_MIN: u64 = 60_000;

impl BlobPolicy {
    /// The largest blob in bytes: what comes in the largest pieces, as many as there may be.
    #[must_use]
    pub fn blob_bytes(&self) -> u64 {
        no_limit_if_0(self.blob_bytes_max).min((BLOB_CHUNK_BYTES_MAX * BLOB_CHUNKS_MAX) as u64)
    }

    /// Bytes that one account may announce in 24 h.
    #[must_use]
    pub fn account_bytes_per_day(&self) -> u64 {
        no_limit_if_0(self.account_bytes_per_day_max)
    }

    /// Bytes of one account that are kept.
    #[must_use]
    pub fn account_bytes(&self) -> u64 {
        no_limit_if_0(self.account_bytes_max)
    }

    /// Blobs of one account that are announced and not whole.
    #[must_use]
    pub fn account_uploads(&self) -> u64 {
        no_limit_if_0(self.account_uploads_max)
    }

    /// What makes no sense, with its place below `pointer`.
    pub(super) fn faults(&self, pointer: &str) -> Vec<Fault> {
        let fault = |key: &str, detail: String| Fault {
            pointer: format!("{pointer}/{key}"),
            detail,
        };
        let mut faults = Vec::new();
        for (key, ms, ms_min) in [
            ("upload_ms", self.upload_ms, KEPT_MS_MIN),
            ("sweep_ms", self.sweep_ms, SWEEP_MS_MIN),
            ("walk_ms", self.walk_ms, WALK_MS_MIN),
        ] {
            if ms < ms_min {
                faults.push(fault(key, format!("give at least {ms_min}")));
            }
        }
        if self.retention_ms != 0 && self.retention_ms < KEPT_MS_MIN {
            faults.push(fault(
                "retention_ms",
                format!("give 0 to keep whole blobs, or at least {KEPT_MS_MIN}"),
            ));
        }
        faults
    }
}

fn no_limit_if_0(max: u64) -> u64 {
    if max == 0 { u64::MAX } else { max }
}

impl Default for BlobPolicy {
    fn default() -> Self {
        Self {
            blob_bytes_max: BLOB_BYTES_MAX,
            account_bytes_per_day_max: BLOB_BYTES_PER_DAY_MAX,
            account_bytes_max: BLOB_BYTES_PER_ACCOUNT_MAX,
            account_uploads_max: BLOB_UPLOADS_PER_ACCOUNT_MAX,
            upload_ms: BLOB_UPLOAD_MS_MAX,
            retention_ms: 0,
            sweep_ms: 10 * 60 * 1_000,
            walk_ms: 24 * 60 * 60 * 1_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spec_leaves_out_has_its_default() {
        let policy: BlobPolicy = serde_json::from_str(r#"{"account_uploads_max":3}"#).unwrap();
        let expected = BlobPolicy {
            account_uploads_max: 3,
            ..BlobPolicy::default()
        };
        assert_eq!(policy, expected);
    }

    #[test]
    fn a_blob_never_needs_more_pieces_than_it_may_have() {
        let policy = BlobPolicy {
            blob_bytes_max: u64::MAX,
            ..BlobPolicy::default()
        };
        assert_eq!(policy.blob_bytes(), 512 << 20);
        assert_eq!(BlobPolicy::default().blob_bytes(), BLOB_BYTES_MAX);
    }

    #[test]
    fn a_quota_of_0_is_no_limit_and_the_largest_blob_still_has_one() {
        let policy = BlobPolicy {
            blob_bytes_max: 0,
            account_bytes_per_day_max: 0,
            account_bytes_max: 0,
            account_uploads_max: 0,
            ..BlobPolicy::default()
        };
        assert_eq!(policy.blob_bytes(), 512 << 20);
        assert_eq!(
            [policy.account_bytes_per_day(), policy.account_bytes(), policy.account_uploads()],
            [u64::MAX; 3]
        );
        assert_eq!(BlobPolicy::default().account_uploads(), BLOB_UPLOADS_PER_ACCOUNT_MAX);
    }

    #[test]
    fn times_that_would_lose_what_is_under_way_or_never_rest_are_named() {
        let pointers = |change: fn(&mut BlobPolicy)| {
            let mut policy = BlobPolicy::default();
            change(&mut policy);
            policy.faults("/blobs").into_iter().map(|fault| fault.pointer).collect::<Vec<_>>()
        };
        assert_eq!(pointers(|p| p.upload_ms = 59_999), ["/blobs/upload_ms"]);
        assert_eq!(pointers(|p| p.retention_ms = 59_999), ["/blobs/retention_ms"]);
        assert_eq!(pointers(|p| p.sweep_ms = 99), ["/blobs/sweep_ms"]);
        assert_eq!(pointers(|p| p.walk_ms = 59_999), ["/blobs/walk_ms"]);
        assert_eq!(
            pointers(|p| (p.upload_ms, p.retention_ms, p.sweep_ms, p.walk_ms) = (60_000, 60_000, 100, 60_000)),
            [""; 0]
        );
        assert_eq!(pointers(|p| p.retention_ms = 0), [""; 0]);
    }
}
