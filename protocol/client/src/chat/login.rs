//! `login`: signs in with what was derived from the password or the recovery code.

use crate::{Connection, Failure};
use bytes::Bytes;
use fastchat_wire::{
    Block,
    chat::login::{LoggedIn, Login},
};

/// Signs in; the bytes are the sealed keyring.
///
/// # Errors
/// `bad-credentials`, `locked`, `not-found` (the device), `quota-exceeded` (a 17th device), `overloaded`.
pub async fn login(connection: &Connection, request: &Login) -> Result<(LoggedIn, Bytes), Failure> {
    let reply = connection.request(request, &Block::none()).await?;
    Ok((reply.header, reply.block))
}
