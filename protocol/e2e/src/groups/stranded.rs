//! A device that can't go on in a group of which it is a member, until it has come in again.
//!
//! ```text
//!   in ──┬─ a commit that is good, and does not open here ──> stranded, watches: goes on with the public state
//!        └─ came in by itself, and the others go on ────────> stranded, blind:   knows nothing of the others' group
//!           without it
//!   stranded ── enter ──> kept apart, to be sent ── stands in the log ──> in
//! ```
//!
//! The log's cursor and head go on meanwhile. What is said is sealed in the group that was, is not sent, and is sealed
//! again once this device is in. Messages of others from that time don't open here, ever.

use super::{Groups, error::Error, rows};
use crate::{
    id::ConversationId,
    mls::{GroupError, observer::Observer},
    store::Reader,
};

/// Why a device can't go on in a group.
#[derive(Debug, thiserror::Error)]
pub enum Stranding {
    /// The commit is good for others, and does not open here: its author's client is broken or hostile.
    #[error("{0}")]
    Secrets(#[source] GroupError),
    /// The commit by which this device came in was no good for the others: they went on without it.
    #[error("the others did not take this device in as it came by itself")]
    Unnoticed,
}

/// How a device that can't go on in a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stranded {
    /// So many times the others went on without it, in a row.
    pub unnoticed: u32,
}

impl Groups {
    /// Whether this device can't go on in a conversation, and has to come in again: [`Groups::enter`].
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Unknown`].
    pub fn stranding(&self, tx: &Reader<'_>, conversation: ConversationId) -> Result<Option<Stranded>, Error> {
        if rows::stranded(tx, conversation)?.is_none() {
            return Ok(None);
        }
        let position = rows::position(tx, conversation)?;
        Ok(Some(Stranded {
            unnoticed: position.unproven.unwrap_or(0),
        }))
    }

    /// A GroupInfo for coming in again must be of the group that the log leads to, as far as this device can see it.
    pub(super) fn check_way_back(&self, tx: &Reader<'_>, conversation: ConversationId, group_info: &[u8]) -> Result<(), Error> {
        match rows::stranded(tx, conversation)? {
            Some(seen) if !seen.expose().is_empty() && !Observer::from_bytes(seen.expose())?.is_shown_by(group_info)? => {
                Err(Error::OtherGroup)
            }
            _ => Ok(()),
        }
    }
}
