//! `group-info`: the GroupInfo of the last commit.

use super::{Call, Handled};
use crate::server::{Server, context::Identity};
use fastchat_wire::{
    Block,
    chat::group_info::{GroupInfo, GroupInfoFound},
};

/// Epoch and GroupInfo.
pub(crate) async fn handle(server: &Server, identity: &Identity, call: &Call) -> Handled {
    let arguments: GroupInfo = call.arguments()?;
    let (epoch, group_info) = server.context.store.group_info(arguments.conversation, identity.account).await?;
    call.answer(&GroupInfoFound { epoch }, &Block::binary(group_info))
}
