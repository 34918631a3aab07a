//! `logout`: ends the session, or all of the account's.

use super::{Call, Handled};
use crate::server::{
    context::{Context, Identity},
    news::News,
};
use fastchat_wire::{Block, Empty, chat::logout::Logout};

/// Ends it in the store, then tells the connections.
pub(crate) async fn handle(context: &Context, identity: &Identity, call: &Call) -> Handled {
    let Logout { everywhere } = call.arguments()?;
    if everywhere {
        context.store.end_sessions(identity.account).await?;
        context.announcer.announce(News::AccountEnded(identity.account)).await;
    } else {
        context.store.end_session(identity.session).await?;
        context.announcer.announce(News::SessionEnded(identity.session)).await;
    }
    call.answer(&Empty {}, &Block::none())
}
