//! `set-credential`: the account's identity (once) and this device's credential.

use crate::{Connection, Failure};
use fastchat_wire::{Block, chat::set_credential::SetCredential, encoding::Bytes64};

/// Sets both.
///
/// # Errors
/// `conflict` (the account has another identity).
pub async fn set_credential(connection: &Connection, identity: Vec<u8>, credential: Vec<u8>) -> Result<(), Failure> {
    let request = SetCredential {
        identity: Bytes64(identity),
        credential: Bytes64(credential),
    };
    connection.request(&request, &Block::none()).await.map(drop)
}
