//! How many bytes of blobs there may be, and how long they stay.

use crate::limits::{
    BLOB_BYTES_MAX, BLOB_BYTES_PER_ACCOUNT_MAX, BLOB_BYTES_PER_DAY_MAX, BLOB_CHUNK_BYTES_MAX, BLOB_CHUNKS_MAX, BLOB_UPLOAD_MS_MAX,
    BLOB_UPLOADS_PER_ACCOUNT_MAX,
};
use serde::{Deserialize, Serialize};

/// How many bytes of blobs there may be, and how long they stay. A key that is left out has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlobPolicy {
    /// Largest blob in bytes, as it is stored. Above 512 MiB it is taken as 512 MiB.
    pub blob_bytes_max: u64,
    /// Bytes that one account may announce in 24 h.
    pub account_bytes_per_day_max: u64,
    /// Bytes of one account that are kept.
    pub account_bytes_max: u64,
    /// Blobs of one account that are announced and not whole.
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

impl BlobPolicy {
    /// True where it need not be said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The largest blob in bytes: what comes in the largest pieces, as many as there may be.
    #[must_use]
    pub fn blob_bytes(&self) -> u64 {
        self.blob_bytes_max.min((BLOB_CHUNK_BYTES_MAX * BLOB_CHUNKS_MAX) as u64)
    }
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
        assert!(!policy.is_default());
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
}
