//! What people call a conversation.

use fastchat_client::{problem::Problem, profile::Profile, record::short};
use fastchat_e2e::ConversationId;

/// What people call a conversation; the end of its id where the profile does not know it.
pub(crate) fn title(profile: &Profile, conversation: ConversationId) -> Result<String, Problem> {
    let room = profile.room(conversation)?;
    Ok(room.map_or_else(|| format!("#{}", short(&conversation.to_string())), |room| room.title()))
}
