//! `change-password`: replaces what signs in, and the keyring that was sealed anew.

use super::{Call, Handled, bounds, login};
use crate::{
    server::context::{Context, Identity},
    store::{Denied, accounts::NewPassword},
};
use fastchat_wire::{
    Block,
    chat::change_password::{ChangePassword, PasswordChanged},
};

/// Checks the old one, then replaces it, if nobody else did meanwhile.
pub(crate) async fn handle(context: &Context, identity: &Identity, call: &Call) -> Handled {
    let arguments: ChangePassword = call.arguments()?;
    bounds::keyring(&call.frame.block)?;
    let params = bounds::auth_parameters(arguments.new_salt, arguments.new_kdf)?;
    let known = context.store.credentials_of(identity.account).await?;
    let credentials = login::verified(context, known, &arguments.auth, arguments.method).await?;
    // The store decides; this only saves the hashing.
    if credentials.keyring_version != arguments.keyring_version {
        return Err(Denied::Conflict("the keyring has another version: sign in again and start from that one").into());
    }

    let auth_hash = context.passwords.hash(&arguments.new_auth).await?;
    let recovery_hash = match &arguments.new_recovery_auth {
        Some(auth) => Some(context.passwords.hash(auth).await?),
        None => None,
    };
    let new = NewPassword {
        params,
        auth_hash,
        recovery_hash,
        keyring: call.frame.block.clone(),
        keyring_version: arguments.keyring_version,
    };
    let keyring_version = context.store.change_password(identity.account, new).await?;
    call.answer(&PasswordChanged { keyring_version }, &Block::none())
}
