//! `lookup`: an account by name or id, with its devices.

use crate::{Connection, Failure};
use fastchat_wire::{
    AccountId, Block, Username,
    chat::lookup::{LookedUp, Lookup},
};

/// By name.
///
/// # Errors
/// `not-found`.
pub async fn lookup(connection: &Connection, username: Username) -> Result<LookedUp, Failure> {
    let request = Lookup {
        username: Some(username),
        account: None,
    };
    Ok(connection.request(&request, &Block::none()).await?.header)
}

/// By id.
///
/// # Errors
/// `not-found`.
pub async fn lookup_account(connection: &Connection, account: AccountId) -> Result<LookedUp, Failure> {
    let request = Lookup {
        username: None,
        account: Some(account),
    };
    Ok(connection.request(&request, &Block::none()).await?.header)
}
