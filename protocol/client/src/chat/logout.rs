//! `logout`: ends the session, or all of the account's.

use crate::{Connection, Failure};
use fastchat_wire::{Block, chat::logout::Logout};

/// Ends the session and its token; with `everywhere` all of the account's.
///
/// # Errors
/// `unavailable`.
pub async fn logout(connection: &Connection, everywhere: bool) -> Result<(), Failure> {
    connection.request(&Logout { everywhere }, &Block::none()).await.map(drop)
}
