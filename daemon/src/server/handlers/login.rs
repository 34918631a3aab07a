//! `login`: signs in with the password or the recovery code.

use super::{Answer, Call, Refusal, bounds, device_news};
use crate::{
    server::{
        context::{Context, Identity, now_ms},
        news::News,
        token,
    },
    store::{
        Denied,
        accounts::{Credentials, SessionId, SignIn, SignedIn},
    },
};
use fastchat_wire::{
    Block, Code, Secret32,
    chat::{
        login::{LoggedIn, Login, Method},
        remove_device::DeviceChange,
    },
};
use uuid::Uuid;

/// What a new device is called that has not said.
const DEVICE_NAME_DEFAULT: &str = "unnamed device";

/// Begins a session on a device of the account's or a new one.
pub(crate) async fn handle(context: &Context, call: &Call) -> Result<(Identity, Answer), Refusal> {
    let arguments: Login = call.arguments()?;
    if let Some(name) = &arguments.device_name {
        bounds::device_name(name)?;
    }
    if arguments.device.is_some() && arguments.new_device.is_some() {
        return Err(Refusal::bad_request("login takes either device or new-device"));
    }
    let known = context.store.credentials(&arguments.username).await?;
    let credentials = verified(context, known, &arguments.auth, arguments.method).await?;
    if credentials.locked {
        return Err(Denied::Locked.into());
    }

    let (token, digest) = token::fresh()?;
    let new_device = match arguments.device {
        Some(_) => None,
        None => Some(arguments.device_name.unwrap_or_else(|| DEVICE_NAME_DEFAULT.to_owned())),
    };
    let named = arguments.device.or(arguments.new_device);
    let identity = Identity {
        account: credentials.account,
        device: named.unwrap_or_else(|| Uuid::now_v7().into()),
        session: SessionId(Uuid::now_v7().into_bytes()),
    };
    let sign_in = SignIn {
        account: identity.account,
        device: identity.device,
        new_device,
        session: identity.session,
        token: digest,
        at: now_ms(),
    };
    let SignedIn { added, ended } = context.store.sign_in(sign_in).await?;
    for ended in ended {
        context.announcer.announce(News::SessionEnded(ended)).await;
    }
    if added {
        device_news::tell(context, identity.account, identity.device, DeviceChange::Added).await;
    }
    let logged_in = LoggedIn {
        account: identity.account,
        device: identity.device,
        token,
        keyring_version: credentials.keyring_version,
    };
    Ok((identity, call.answer(&logged_in, &Block::binary(credentials.keyring))?))
}

/// The credentials, where `auth` is theirs. An unknown name, a wrong password
/// and an account without recovery code all cost the same work and answer the same.
pub(super) async fn verified(
    context: &Context,
    known: Option<Credentials>,
    auth: &Secret32,
    method: Method,
) -> Result<Credentials, Refusal> {
    let hash = known.as_ref().and_then(|credentials| match method {
        Method::Password => Some(credentials.auth_hash.as_str()),
        Method::Recovery => credentials.recovery_hash.as_deref(),
    });
    let good = context.passwords.verify(auth, hash).await?;
    match known {
        Some(credentials) if good => Ok(credentials),
        _ => Err(Refusal::new(Code::BadCredentials, "wrong password or unknown name")),
    }
}
