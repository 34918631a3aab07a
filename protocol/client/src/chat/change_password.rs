//! `change-password`: seals the keyring anew.

use crate::{Connection, Failure};
use bytes::Bytes;
use fastchat_wire::{
    Block,
    chat::change_password::{ChangePassword, PasswordChanged},
};

/// Replaces what signs in; `keyring` is the keyring sealed anew.
///
/// # Errors
/// `bad-credentials`, `conflict` (another keyring version).
pub async fn change_password(connection: &Connection, request: &ChangePassword, keyring: Bytes) -> Result<PasswordChanged, Failure> {
    Ok(connection.request(request, &Block::binary(keyring)).await?.header)
}
