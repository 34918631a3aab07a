//! Devices that their account has sent away: which batches are still theirs.
//!
//! Whoever has taken such a device can sign batches with its key for good, and a hostile server puts them wherever it
//! likes. So who sends a device away archives the SHA-256 of its last block, and what `prev` leads to from there, back
//! to the first, is all that the device ever wrote:
//!
//! ```text
//!  1 <─prev─ 2 <─prev─ 3 <── the mark         4', 5'  behind it, 2', 3'  in the place of others: not theirs
//! ```
//!
//! Marks are believed whoever of the account's devices wrote them, wherever they stand, and all of them at once. So
//! nothing depends on their order, which is the server's; and a forged mark can take something away, which the
//! server could withhold as well, but add nothing.

use super::FIRST_PREV;
use crate::id::DeviceId;
use serde::{Deserialize, Serialize};

/// Different marks of one device that are looked at. Honest ones are alike; of a device with more nothing is taken.
pub const MARKS_MAX: usize = 16;

/// What a device that was sent away had archived by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Which.
    pub device: DeviceId,
    /// SHA-256 of its last block; [`FIRST_PREV`] where it had archived nothing.
    #[serde(with = "super::text32")]
    pub last: [u8; 32],
}

/// Follows the batches of one device, newest first.
#[derive(Debug, Clone)]
pub struct Trail {
    /// For each mark the block that comes next, and whether the mark's own has come.
    wanted: Vec<([u8; 32], bool)>,
    /// The device has more marks than [`MARKS_MAX`].
    is_lost: bool,
}

impl Trail {
    /// By a device's marks: what `last` of each says. Without any, everything is the device's.
    #[must_use]
    pub fn new(marks: impl IntoIterator<Item = [u8; 32]>) -> Self {
        let mut trail = Self {
            wanted: Vec::new(),
            is_lost: false,
        };
        for mark in marks {
            if trail.wanted.iter().any(|(known, _)| *known == mark) {
                continue;
            }
            if trail.wanted.len() == MARKS_MAX {
                trail.is_lost = true;
                break;
            }
            trail.wanted.push((mark, mark == FIRST_PREV));
        }
        trail
    }

    /// Whether the device's next older batch is one that it had written when it was sent away.
    pub fn leads_to(&mut self, hash: &[u8; 32], prev: &[u8; 32]) -> bool {
        let mut leads = !self.is_lost;
        for (wanted, has_come) in &mut self.wanted {
            if wanted == hash {
                (*wanted, *has_come) = (*prev, true);
            } else {
                leads = false;
            }
        }
        leads
    }

    /// Whether a batch that a mark names has not come.
    #[must_use]
    pub fn lacks_the_last(&self) -> bool {
        self.wanted.iter().any(|(_, has_come)| !has_come)
    }
}
