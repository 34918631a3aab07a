//! `auth-params`: how a name's password is stretched. An unknown name gets an
//! answer that looks like any other and never changes.

use super::{Call, Handled};
use crate::server::context::Context;
use fastchat_wire::{
    Block,
    chat::auth_params::{AuthParameters, AuthParams, Kdf},
    encoding::Bytes64,
};

/// Answers the name's parameters, or made-up ones.
pub(crate) async fn handle(context: &Context, call: &Call) -> Handled {
    let AuthParams { username } = call.arguments()?;
    let decoy = context.fleet_key.decoy_salt(username.as_str());
    let known = context.store.auth_params(&username).await?;
    let answer = known.unwrap_or_else(|| AuthParameters {
        salt: Bytes64(decoy.to_vec()),
        kdf: Kdf::registration(),
    });
    call.answer(&answer, &Block::none())
}
