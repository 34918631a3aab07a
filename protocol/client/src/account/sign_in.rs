//! Signing in with the password or the recovery code.

use super::{Proof, exposed, finish, in_use, register::Registering, stretch::stretched, wire_name};
use crate::{
    Config, Connection, Errand, Failure, chat, enter,
    fault::{self, Fault},
    ids::{Expose, Seal},
    problem::Problem,
    profile::{Me, Profile, identity},
    record,
};
use bytes::Bytes;
use fastchat_e2e::{
    DeviceId, Kdf, Keyring, StoreError, Username,
    keyring::{Binding, open_with_password, open_with_recovery_code},
    password::Salt,
    secret::{Auth, MasterKey, RecoveryWrapKey, WrapKey},
};
use fastchat_wire::{
    Code, Secret,
    chat::{
        auth_params::AuthParameters,
        login::{Login, Method},
    },
    limits::DEVICES_PER_ACCOUNT_MAX,
};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::time::Instant;

/// A connection on which a password was stretched for longer is left for another one.
const UNSIGNED_MAX: Duration = Duration::from_secs(4);

/// Signs in: as a new device in a new profile, as the same device in one that it has signed in before.
///
/// # Errors
/// `bad-credentials`; `profile-in-use` where the profile is somebody else's; `not-found` where this device was removed;
/// `bad-keyring` where the server's keyring does not open.
pub async fn login(config: &Config, folder: &Path, username: &str, proof: Proof, device_name: &str) -> Result<(Arc<Profile>, Me), Problem> {
    let username = record::username(username)?;
    let profile = match Profile::open(folder) {
        Err(Problem::Store(StoreError::Missing { .. })) => None,
        opened => Some(opened?),
    };
    let known = profile.as_ref().map(Profile::me).transpose()?.flatten();
    if let Some(other) = known.as_ref().filter(|me| me.username != username) {
        return Err(in_use(folder, &other.username));
    }
    let begun = profile.as_ref().map(|profile| profile.read(Registering::read)).transpose()?;
    if let Some(begun) = begun.flatten() {
        return Err(Problem::declined(
            "profile-in-use",
            format!(
                "{} has begun to register @{name}, and keeps a recovery code that was not shown yet: run `register {name}` again, \
                 with the same password, or choose another profile",
                folder.display(),
                name = begun.username
            ),
        ));
    }
    let connection = enter(config, Errand::default()).await?.connection;
    // A fleet that is away leaves no profile.
    let profile = match profile {
        Some(profile) => Arc::new(profile),
        None => Arc::new(Profile::create(folder)?),
    };
    let restores = known.is_none();
    let me = sign_in(config, &profile, connection, &username, known, proof, device_name, restores).await?;
    Ok((profile, me))
}

/// Signs in again as the profile's device, and has the account's archive read anew from its end: what other devices
/// have archived since, and what was missing. [`crate::messenger::Messenger::restored`] waits for it.
///
/// # Errors
/// `not-signed-in` in a profile that never was; otherwise as [`login`].
pub async fn begin_restore(config: &Config, profile: &Arc<Profile>, proof: Proof) -> Result<Me, Problem> {
    let me = profile.run(Profile::me).await?.ok_or(Problem::Ended(crate::Ended::NoToken))?;
    let username = me.username.clone();
    let connection = enter(config, Errand::default()).await?.connection;
    sign_in(config, profile, connection, &username, Some(me), proof, "", true).await
}

/// What opens the keyring.
enum Opener {
    Password(WrapKey),
    RecoveryCode(RecoveryWrapKey),
}

/// Which device signs in.
pub(super) enum SignInAs<'a> {
    /// The one that the profile is already.
    Known(Me),
    /// A new one under this id (the same whenever it is sent again), and what it is called.
    New(DeviceId, &'a str),
}

/// Signed in, with the keyring open.
pub(super) struct Proved {
    pub(super) connection: Connection,
    pub(super) me: Me,
    pub(super) token: Secret,
    /// What signed in, and what it came from.
    pub(super) auth: Auth,
    pub(super) method: Method,
    /// The keyring as the server keeps it, and what is in it.
    pub(super) sealed: Bytes,
    pub(super) binding: Binding,
    pub(super) master: MasterKey,
    pub(super) keyring: Keyring,
}

/// Signs in on a connection; `known` is the device that the profile is already.
#[expect(clippy::too_many_arguments, reason = "each is something else that signing in needs")]
pub(super) async fn sign_in(
    config: &Config,
    profile: &Arc<Profile>,
    connection: Connection,
    username: &Username,
    known: Option<Me>,
    proof: Proof,
    device_name: &str,
    restores: bool,
) -> Result<Me, Problem> {
    let device = match known {
        Some(me) => SignInAs::Known(me),
        None => SignInAs::New(profile.run(|profile| profile.write(identity::new_device)).await?, device_name),
    };
    let proved = prove(config, connection, username, device, proof).await?;
    let me = proved.me;
    finish(profile, &proved.connection, me.clone(), proved.keyring, proved.token, restores).await?;
    Ok(me)
}

/// The account's salt and work factors, as far as they are fit to use.
pub(super) async fn parameters(connection: &Connection, username: &Username) -> Result<(Salt, Kdf), Problem> {
    let AuthParameters { salt, kdf } = chat::auth_params(connection, wire_name(username)?).await?;
    let kdf = Kdf::new(&kdf.alg, kdf.m_kib, kdf.t, kdf.p)?;
    let salt: Salt = salt.0.try_into().map_err(|_| {
        Problem::declined(
            "bad-kdf",
            "the server's salt has another length than 16 bytes: do not sign in to this server",
        )
    })?;
    Ok((salt, kdf))
}

/// Proves who it is, and opens the keyring.
pub(super) async fn prove(
    config: &Config,
    mut connection: Connection,
    username: &Username,
    device: SignInAs<'_>,
    proof: Proof,
) -> Result<Proved, Problem> {
    let (salt, kdf) = parameters(&connection, username).await?;
    let since = Instant::now();
    let (auth, method, opener) = match proof {
        Proof::Password(password) => {
            let stretched = stretched(password, salt, kdf).await?;
            (stretched.auth, Method::Password, Opener::Password(stretched.wrap))
        }
        Proof::RecoveryCode(code) => (code.auth(), Method::Recovery, Opener::RecoveryCode(code.wrap())),
    };
    if since.elapsed() > UNSIGNED_MAX {
        // The server closes a connection that does not sign in for 10 s.
        connection.close();
        connection = enter(config, Errand::default()).await?.connection;
    }
    let (known, new_device, device_name) = match device {
        SignInAs::Known(me) => (Some(me), None, None),
        SignInAs::New(device, name) => (None, Some(device), Some(name.to_owned())),
    };
    let request = Login {
        username: wire_name(username)?,
        auth: exposed(&auth),
        method,
        device: known.as_ref().map(|me| me.device.wire()),
        new_device: new_device.map(Expose::wire),
        device_name,
    };
    let (logged_in, sealed) = chat::login(&connection, &request)
        .await
        .map_err(|failure| explain(failure, known.is_some(), method))?;
    fault::point(Fault::SignedIn);
    let binding = Binding {
        username: username.clone(),
        version: logged_in.keyring_version,
        kdf,
    };
    let (master, keyring) = match opener {
        Opener::Password(wrap) => open_with_password(&sealed, &binding, &wrap)?,
        Opener::RecoveryCode(wrap) => open_with_recovery_code(&sealed, &binding, &wrap)?,
    };
    let me = Me {
        account: logged_in.account.sealed(),
        device: logged_in.device.sealed(),
        username: username.clone(),
    };
    if known.as_ref().is_some_and(|known| *known != me) || new_device.is_some_and(|wanted| wanted != me.device) {
        return Err(Problem::declined(
            "bad-account",
            "the server signed in another account or device than this profile's: don't trust it before its operator explains",
        ));
    }
    Ok(Proved {
        connection,
        me,
        token: logged_in.token,
        auth,
        method,
        sealed,
        binding,
        master,
        keyring,
    })
}

/// What a person can do about a login that was refused.
fn explain(failure: Failure, known: bool, method: Method) -> Problem {
    match Problem::from(failure) {
        Problem::Refused(refused) if refused.code == Code::QuotaExceeded => Problem::declined(
            "quota-exceeded",
            format!(
                "the account has {DEVICES_PER_ACCOUNT_MAX} devices, and can have no more: on one that is signed in, `fastchat devices` lists \
                 them and `fastchat devices remove NAME` sends one away; then try again"
            ),
        ),
        Problem::Refused(refused) if refused.code == Code::NotFound && known => Problem::declined(
            "not-found",
            "this device was removed from the account, for good. What it received stays here (`fastchat history`); to sign in on this \
             machine, make a new device with another profile: `fastchat --profile NAME login …`",
        ),
        Problem::Refused(refused) if refused.code == Code::BadCredentials && method == Method::Recovery => Problem::declined(
            "bad-credentials",
            "that is not the recovery code of this account, or the name is unknown",
        ),
        problem => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refused;

    fn refused(code: Code) -> Failure {
        Failure::Refused(Refused {
            code,
            message: "as the server says it".to_owned(),
            retry_after: None,
            epoch: None,
        })
    }

    #[test]
    fn at_the_limit_a_person_is_told_which_command_makes_room() {
        let told = explain(refused(Code::QuotaExceeded), false, Method::Password);
        assert_eq!((told.code(), told.exit_code()), ("quota-exceeded", 1));
        assert!(told.to_string().contains("`fastchat devices remove NAME`"), "{told}");
        assert!(told.to_string().contains("16 devices"), "{told}");
    }

    #[test]
    fn a_device_that_was_removed_is_told_so_and_nobody_else() {
        let explain = |known| explain(refused(Code::NotFound), known, Method::Password).to_string();
        assert!(explain(true).contains("was removed"));
        assert_eq!(explain(false), "as the server says it");
    }

    #[test]
    fn who_gave_a_recovery_code_is_not_told_of_a_wrong_password() {
        let told = explain(refused(Code::BadCredentials), false, Method::Recovery);
        assert_eq!(told.code(), "bad-credentials");
        assert!(told.to_string().contains("recovery code"), "{told}");
        let told = explain(refused(Code::BadCredentials), false, Method::Password);
        assert_eq!(told.to_string(), "as the server says it");
    }
}
