//! `register`: a new account with its first device, signed in at once.

use crate::{Connection, Failure};
use bytes::Bytes;
use fastchat_wire::{
    Block,
    chat::register::{Register, Registered},
};

/// Registers; `keyring` is the sealed keyring.
///
/// # Errors
/// `name-taken`, `bad-request`, `overloaded`.
pub async fn register(connection: &Connection, request: &Register, keyring: Bytes) -> Result<Registered, Failure> {
    Ok(connection.request(request, &Block::binary(keyring)).await?.header)
}
