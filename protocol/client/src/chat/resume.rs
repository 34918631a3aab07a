//! `resume`: signs in with a session token.

use crate::{Connection, Failure};
use fastchat_wire::{
    Block, Secret,
    chat::resume::{Resume, Resumed},
};

/// Signs in. A new token in the answer must be stored durably before it is used.
///
/// # Errors
/// `unauthenticated` (the token is dead: sign in again), `locked`.
pub async fn resume(connection: &Connection, token: Secret) -> Result<Resumed, Failure> {
    Ok(connection.request(&Resume { token }, &Block::none()).await?.header)
}
