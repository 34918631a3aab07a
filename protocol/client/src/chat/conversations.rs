//! `conversations`: the account's conversations, all pages of them.

use crate::{Connection, Failure, limits::LOGS_MAX};
use fastchat_wire::{
    Block,
    chat::conversations::{Conversation, Conversations, LogBounds},
    limits::PAGE_MAX,
};

/// What an account can read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Its conversations, ordered by id.
    pub conversations: Vec<Conversation>,
    /// The device's inbox.
    pub inbox: Option<LogBounds>,
    /// The account's archive.
    pub archive: Option<LogBounds>,
}

/// Reads all pages.
///
/// # Errors
/// `unavailable`; [`Failure::Misbehaved`] where the pages are out of order or have no end.
pub async fn conversations(connection: &Connection) -> Result<Listing, Failure> {
    let mut listing = Listing::default();
    loop {
        let after = listing.conversations.last().map(|last| last.conversation);
        let request = Conversations { after, limit: PAGE_MAX };
        let reply = connection.request(&request, &Block::none()).await?;
        let page: Vec<Conversation> =
            serde_json::from_slice(&reply.block).map_err(|error| Failure::Misbehaved(format!("conversations: {error}")))?;
        if after.is_none() {
            listing.inbox = reply.header.inbox;
            listing.archive = reply.header.archive;
        }
        let ordered = page.is_sorted_by(|a, b| a.conversation < b.conversation);
        let follows = page.first().is_none_or(|first| after < Some(first.conversation));
        if !ordered || !follows || (page.is_empty() && reply.header.more) {
            return Err(Failure::Misbehaved("pages of conversations that are not in order".to_owned()));
        }
        listing.conversations.extend(page);
        if listing.conversations.len() > LOGS_MAX {
            return Err(Failure::Misbehaved(format!("more than {LOGS_MAX} conversations")));
        }
        if !reply.header.more {
            return Ok(listing);
        }
    }
}
