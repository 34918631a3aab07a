//! `lookup`: an account by name or id, with its devices.

use super::{Call, Handled, Refusal};
use crate::{
    server::context::{Context, Identity},
    store::Denied,
};
use fastchat_wire::{Block, chat::lookup::Lookup};

/// Anybody who is signed in may ask for anybody.
pub(crate) async fn handle(context: &Context, _identity: &Identity, call: &Call) -> Handled {
    let found = match call.arguments()? {
        Lookup {
            username: Some(username),
            account: None,
        } => context.store.lookup_username(&username).await?,
        Lookup {
            username: None,
            account: Some(account),
        } => context.store.lookup_account(account).await?,
        _ => return Err(Refusal::bad_request("lookup takes either username or account")),
    };
    let found = found.ok_or(Denied::NotFound("no such account"))?;
    call.answer(&found, &Block::none())
}
