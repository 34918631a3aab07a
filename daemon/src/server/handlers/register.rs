//! `register`: a new account with its first device, signed in.

use super::{Answer, Call, Refusal, bounds};
use crate::{
    server::{
        context::{Context, Identity, now_ms},
        token,
    },
    store::{
        Denied,
        accounts::{NewAccount, SessionId},
    },
};
use fastchat_wire::{
    Block,
    chat::register::{Register, Registered},
};
use uuid::Uuid;

/// Makes the account and begins its first session.
pub(crate) async fn handle(context: &Context, call: &Call) -> Result<(Identity, Answer), Refusal> {
    let arguments: Register = call.arguments()?;
    bounds::device_name(&arguments.device_name)?;
    bounds::keyring(&call.frame.block)?;
    let params = bounds::auth_parameters(arguments.salt, arguments.kdf)?;
    // The store decides; this only saves the hashing for a name that is taken.
    if context.store.auth_params(&arguments.username).await?.is_some() {
        return Err(Denied::NameTaken.into());
    }

    let auth_hash = context.passwords.hash(&arguments.auth).await?;
    let recovery_hash = match &arguments.recovery_auth {
        Some(auth) => Some(context.passwords.hash(auth).await?),
        None => None,
    };
    let (token, digest) = token::fresh()?;
    let identity = Identity {
        account: Uuid::now_v7().into(),
        device: Uuid::now_v7().into(),
        session: SessionId(Uuid::now_v7().into_bytes()),
    };
    let new = NewAccount {
        account: identity.account,
        device: identity.device,
        session: identity.session,
        username: arguments.username,
        params,
        auth_hash,
        recovery_hash,
        device_name: arguments.device_name,
        keyring: call.frame.block.clone(),
        token: digest,
        at: now_ms(),
    };
    context.store.register(new).await?;
    let registered = Registered {
        account: identity.account,
        device: identity.device,
        token,
    };
    Ok((identity, call.answer(&registered, &Block::none())?))
}
