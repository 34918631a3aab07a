//! `conversations`: the account's conversations, by pages.

use super::{Call, Handled, page_limit};
use crate::server::{Server, context::Identity, hub::ConnectionId};
use fastchat_wire::{
    Block,
    chat::conversations::{Conversations, ConversationsPage},
};

/// A page; the first one also has the bounds of inbox and archive. From here on the account is told of the presence of
/// those that it has direct conversations with.
pub(crate) async fn handle(server: &Server, identity: &Identity, call: &Call, connection: ConnectionId) -> Handled {
    let arguments: Conversations = call.arguments()?;
    let limit = page_limit(arguments.limit)?;
    let store = &server.context.store;
    let page = store.conversations(identity.account, arguments.after, limit).await?;
    let (inbox, archive) = match arguments.after {
        None => store
            .own_logs(identity.actor())
            .await
            .map(|(inbox, archive)| (Some(inbox), Some(archive)))?,
        Some(_) => (None, None),
    };
    server.peers.watch(identity.account, connection, &page.contacts);
    call.answer(
        &ConversationsPage {
            more: page.more,
            inbox,
            archive,
        },
        &Block::json(&page.conversations),
    )
}
