//! The end of a conversation on this device.

use super::note::add_own;
use crate::{
    problem::Problem,
    profile::{
        history::Event,
        rooms,
        tasks::{self, Outcome},
    },
};
use fastchat_e2e::{ConversationId, groups::Groups, store::Writer};

/// This account is out, as the server says: nothing can be read or sent any more.
pub(crate) fn shut_out(groups: &mut Groups, tx: &Writer<'_>, conversation: ConversationId, at_ms: u64) -> Result<(), Problem> {
    if rooms::is_out(tx, conversation)? {
        return Ok(());
    }
    add_own(groups, tx, conversation, at_ms, Event::Out)?;
    close(groups, tx, conversation)
}

/// Deletes the group's secrets, and what waits to be said in it.
pub(super) fn close(groups: &mut Groups, tx: &Writer<'_>, conversation: ConversationId) -> Result<(), Problem> {
    for message in groups.forget(tx, conversation)? {
        tasks::settle(tx, message, &out())?;
    }
    rooms::leave(tx, conversation)
}

pub(super) fn out() -> Outcome {
    Outcome::Refused {
        code: "not-member".to_owned(),
        message: "you are in this conversation no longer: ask a member to be added again".to_owned(),
    }
}
