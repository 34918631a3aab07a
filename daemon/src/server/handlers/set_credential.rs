//! `set-credential`: the account's identity (once) and this device's credential.

use super::{Call, Handled, Refusal};
use crate::server::context::{Context, Identity};
use fastchat_wire::{
    Block, Empty,
    chat::set_credential::SetCredential,
    encoding::Bytes64,
    limits::{CREDENTIAL_BYTES_MAX, IDENTITY_BYTES_MAX},
};

/// Stores both; what they say is between clients.
pub(crate) async fn handle(context: &Context, identity: &Identity, call: &Call) -> Handled {
    let arguments: SetCredential = call.arguments()?;
    bounded("identity", &arguments.identity, IDENTITY_BYTES_MAX)?;
    bounded("credential", &arguments.credential, CREDENTIAL_BYTES_MAX)?;
    context
        .store
        .set_credential(identity.account, identity.device, &arguments.identity.0, &arguments.credential.0)
        .await?;
    call.answer(&Empty {}, &Block::none())
}

fn bounded(name: &str, bytes: &Bytes64, max: usize) -> Result<(), Refusal> {
    match bytes.0.len() {
        n if n == 0 || n > max => Err(Refusal::bad_request(format!("{name} has 1 to {max} bytes, not {n}"))),
        _ => Ok(()),
    }
}
