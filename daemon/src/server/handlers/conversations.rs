//! `conversations`: the account's conversations, by pages.

use super::{Call, Handled, page_limit};
use crate::server::{Server, context::Identity};
use fastchat_wire::{
    Block,
    chat::conversations::{Conversations, ConversationsPage},
};

/// A page; the first one also has the bounds of inbox and archive.
pub(crate) async fn handle(server: &Server, identity: &Identity, call: &Call) -> Handled {
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
    call.answer(
        &ConversationsPage {
            more: page.more,
            inbox,
            archive,
        },
        &Block::json(&page.conversations),
    )
}
