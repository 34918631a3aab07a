//! `fetch`: entries after a cursor.

use super::{Call, Handled, page_limit};
use crate::server::{Server, context::Identity, delivery};
use fastchat_wire::{
    Block,
    chat::{fetch, server_kind::WELCOME},
    limits::{FETCH_BYTES_MAX, FETCH_LIMIT_DEFAULT},
};

/// Reads a page: entry events, then the response.
pub(crate) async fn handle(server: &Server, identity: &Identity, call: &Call) -> Handled {
    let arguments: fetch::Fetch = call.arguments()?;
    let limit = page_limit(arguments.limit.unwrap_or(FETCH_LIMIT_DEFAULT))?;
    let page = server
        .context
        .store
        .fetch(arguments.log, identity.actor(), arguments.after, limit, FETCH_BYTES_MAX)
        .await?;
    let mut answer = Vec::with_capacity(page.entries.len() + 1);
    for entry in &page.entries {
        let hashed = entry.kind.as_ref() == WELCOME && !entry.welcome_to.contains(&identity.device);
        let (event, block) = delivery::event(entry, hashed);
        answer.push(call.event(&event, &block)?);
    }
    let response = fetch::Fetched {
        first_seq: page.first_seq,
        last_seq: page.last_seq,
        more: page.more,
    };
    answer.extend(call.answer(&response, &Block::none())?);
    Ok(answer)
}
