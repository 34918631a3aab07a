//! Blobs on a server: their bytes, what they cost, and how they end.
//!
//! ```text
//!  blob-put ──> objects (one for each chunk, fsynced) ──> the store counts the chunk ──> answer
//!  blob-get <── outbox (two answers of a connection at most) <── objects
//!  sweep    ──> rows that are due ──> their objects;  once a day each row against its objects and back
//! ```
//!
//! | file | what |
//! | --- | --- |
//! | `objects` | the bytes, on `object_store` |
//! | `held` | what of them is in memory, counted until it is written |
//! | `sweep` | one server at a time removes what is due |
//! | `walk` | rows whose objects are gone, objects that no row names |
//! | `measures` | what all of it counts |

mod held;
mod measures;
mod objects;
mod sweep;
#[cfg(test)]
mod tests;
mod walk;

pub(crate) use held::{Held, until_written};
pub(crate) use measures::BlobMeasures;
pub(crate) use objects::Objects;
pub(crate) use sweep::Sweeper;

use crate::store::blobs::ObjectKey;
use fastchat_wire::control::BlobPolicy;
use tokio::sync::watch;

/// What handlers need of blobs.
#[derive(Debug, Clone)]
pub(crate) struct Blobs {
    /// The bytes.
    pub(crate) objects: Objects,
    /// As the spec in force has it.
    pub(crate) policy: watch::Receiver<BlobPolicy>,
    pub(crate) measures: BlobMeasures,
}

impl Blobs {
    /// The policy in force.
    pub(crate) fn policy(&self) -> BlobPolicy {
        *self.policy.borrow()
    }

    /// A key that no blob has or had.
    pub(crate) fn new_key() -> ObjectKey {
        ObjectKey(uuid::Uuid::new_v4().into_bytes())
    }

    /// Counts bytes that are in memory, for as long as the answer lives.
    pub(crate) fn hold(&self, bytes: usize) -> Held {
        Held::new(&self.measures.in_memory, bytes)
    }
}
