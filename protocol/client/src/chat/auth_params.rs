//! `auth-params`: how a name's password is stretched (PROTOCOL.md §4).

use crate::{Connection, Failure};
use fastchat_wire::{
    Block, Username,
    chat::auth_params::{AuthParameters, AuthParams},
};

/// Salt and work factors; made up, always the same, for an unknown name.
///
/// # Errors
/// `rate-limited`, `unavailable`.
pub async fn auth_params(connection: &Connection, username: Username) -> Result<AuthParameters, Failure> {
    Ok(connection.request(&AuthParams { username }, &Block::none()).await?.header)
}
