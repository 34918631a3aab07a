//! Registering, signing in, signing out.
//!
//! ```text
//!  register   draw keyring, recovery code, salt ─> kept ─> register ─────────┐
//!                                                                            ├─> credential signed, kept ─> published
//!  login      auth-params ─> stretch ─> login ─> keyring opened ─────────────┘
//! ```
//!
//! The password, the master key and both seeds are dropped before anything else is done: daily use needs the device's
//! own key alone. A registration whose answer was lost is gone on with by the same command.

use crate::{
    Config, Connection, Errand, chat, clock, enter,
    ids::{Expose, Seal},
    journal::Journal,
    messenger::upkeep,
    problem::Problem,
    profile::{Me, Profile, identity},
    record,
};
use fastchat_e2e::{
    Credential, DeviceKey, Kdf, Keyring, RecoveryCode, StoreError, Username,
    keyring::{Binding, open_with_password, open_with_recovery_code, seal_keyring},
    password::{Salt, stretch},
    secret::{Auth, MasterKey, Password, RecoveryWrapKey, WrapKey},
};
use fastchat_wire::{
    Code, Secret, Secret32,
    chat::{
        auth_params::{AuthParameters, Kdf as WireKdf},
        login::{Login, Method},
        register::Register,
    },
    encoding::Bytes64,
};
use serde::{Deserialize, Serialize};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::time::Instant;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A connection on which a password was stretched for longer is left for another one.
const UNSIGNED_MAX: Duration = Duration::from_secs(4);

/// A new account's first device.
#[derive(Debug)]
pub struct Registered {
    /// The profile, signed in.
    pub profile: Arc<Profile>,
    /// Who it is.
    pub me: Me,
    /// To be shown once: what opens the account where the password is forgotten.
    pub recovery_code: RecoveryCode,
}

/// What opens an account.
#[derive(Debug)]
pub enum Proof {
    /// The password.
    Password(Password),
    /// The recovery code.
    RecoveryCode(RecoveryCode),
}

/// Registers an account into a new profile in `folder`. Takes a second of one core, and 64 MiB.
///
/// # Errors
/// `profile-in-use`; `name-taken`; [`Problem::Usage`] for a malformed name; [`Problem::CannotConnect`]: the account may
/// exist then, and the same command with the same password goes on.
pub async fn register(
    config: &Config,
    folder: &Path,
    username: &str,
    password: Password,
    device_name: &str,
) -> Result<Registered, Problem> {
    let username = record::username(username)?;
    let profile = blank(folder, &username)?;
    let begun = profile.run({
        let username = username.clone();
        move |profile| begin(profile, &username)
    });
    let (begun, again) = begun.await?;
    let recovery_code = begun.recovery_code()?;
    let (salt, kdf) = (begun.salt, Kdf::REGISTRATION);
    let stretched = stretched(password, salt, kdf).await?;
    let keyring = Keyring::random(&mut rand::rng());
    let binding = Binding {
        username: username.clone(),
        version: Binding::FIRST_VERSION,
        kdf,
    };
    let master = MasterKey::random(&mut rand::rng());
    let sealed = seal_keyring(
        &keyring,
        &master,
        &binding,
        &stretched.wrap,
        &recovery_code.wrap(),
        &mut rand::rng(),
    );
    drop(master);
    let request = Register {
        username: wire_name(&username)?,
        salt: Bytes64(salt.to_vec()),
        kdf: WireKdf::registration(),
        auth: exposed(&stretched.auth),
        recovery_auth: Some(exposed(&recovery_code.auth())),
        device_name: device_name.to_owned(),
    };
    let entered = enter(config, Errand::default()).await?;
    let connection = entered.connection;
    match chat::register(&connection, &request, sealed.into()).await.map_err(Problem::from) {
        Ok(registered) => {
            let me = Me {
                account: registered.account.sealed(),
                device: registered.device.sealed(),
                username,
            };
            finish(&profile, &connection, me.clone(), keyring, registered.token).await?;
            Ok(Registered {
                profile,
                me,
                recovery_code,
            })
        }
        // The answer to an earlier try was lost: whoever has the password is the one who registered.
        Err(Problem::Refused(refused)) if refused.code == Code::NameTaken && again => {
            match sign_in(
                config,
                &profile,
                connection,
                &username,
                None,
                Proof::Password(stretched.password),
                device_name,
            )
            .await
            {
                Ok(me) => Ok(Registered {
                    profile,
                    me,
                    recovery_code,
                }),
                Err(Problem::Refused(other)) if other.code == Code::BadCredentials => {
                    give_up(&profile).await?;
                    Err(Problem::Refused(refused))
                }
                Err(problem) => Err(problem),
            }
        }
        Err(Problem::CannotConnect(why)) => Err(Problem::CannotConnect(format!(
            "{why}. Whether the account was made is not known: run the same command again, with the same password"
        ))),
        // The account may have been made, or can be later: its recovery code must not be lost.
        Err(passing) if passing.is_passing() => Err(Problem::declined(
            passing.code().to_owned(),
            format!("{passing}. Whether the account was made is not known: run the same command again, with the same password"),
        )),
        Err(refused) => {
            give_up(&profile).await?;
            Err(refused)
        }
    }
}

/// Signs in: as a new device in a new profile, as the same device in one that it has signed in before.
///
/// # Errors
/// `bad-credentials`; `profile-in-use` where the profile is somebody else's; `not-found` where this device was removed;
/// `bad-keyring` where the server's keyring does not open.
pub async fn login(config: &Config, folder: &Path, username: &str, proof: Proof, device_name: &str) -> Result<(Arc<Profile>, Me), Problem> {
    let username = record::username(username)?;
    let profile = match Profile::open(folder) {
        Err(Problem::Store(StoreError::Missing { .. })) => Profile::create(folder)?,
        opened => opened?,
    };
    let known = profile.me()?;
    if let Some(other) = known.as_ref().filter(|me| me.username != username) {
        return Err(in_use(folder, &other.username));
    }
    if let Some(begun) = profile.read(Registering::read)? {
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
    let profile = Arc::new(profile);
    let entered = enter(config, Errand::default()).await?;
    let me = sign_in(config, &profile, entered.connection, &username, known, proof, device_name).await?;
    Ok((profile, me))
}

/// Ends the session, and with `everywhere` all of the account's. The profile keeps what it has, and can sign in again.
///
/// # Errors
/// `not-signed-in`; the fleet can't be reached: then the session lives on.
pub async fn logout(config: &Config, profile: &Arc<Profile>, everywhere: bool) -> Result<(), Problem> {
    let (lease, token) = profile
        .run(|profile| {
            let lease = profile
                .lease()
                .map_err(|error| Problem::declined("profile-unkept", error.to_string()))?;
            Ok((lease, profile.read(identity::token)?))
        })
        .await?;
    let token = token.ok_or(Problem::Ended(crate::Ended::NoToken))?;
    let errand = Errand {
        resume: true,
        ..Errand::default()
    };
    let connection = enter(config, errand).await?.connection;
    let ended = async {
        chat::resume(&connection, token).await?;
        chat::logout(&connection, everywhere).await
    };
    match ended.await.map_err(Problem::from) {
        // Ended elsewhere before.
        Err(Problem::Refused(refused)) if refused.code == Code::Unauthenticated => {}
        ended => ended?,
    }
    profile.run(|profile| profile.write(|tx| identity::save_token(tx, None))).await?;
    drop(lease);
    Ok(())
}

/// A profile that nobody has signed in to.
fn blank(folder: &Path, username: &Username) -> Result<Arc<Profile>, Problem> {
    let profile = match Profile::create(folder) {
        Err(Problem::Store(StoreError::Exists { .. })) => Profile::open(folder)?,
        created => created?,
    };
    match profile.me()? {
        Some(me) => Err(in_use(folder, &me.username)),
        None => match profile.read(Registering::read)? {
            Some(begun) if begun.username != username.as_str() => Err(Problem::declined(
                "profile-in-use",
                format!(
                    "{} has begun to register @{}: run that again, or choose another profile",
                    folder.display(),
                    begun.username
                ),
            )),
            _ => Ok(Arc::new(profile)),
        },
    }
}

fn in_use(folder: &Path, username: &Username) -> Problem {
    Problem::declined(
        "profile-in-use",
        format!("{} is the profile of @{username}: choose another one (--profile)", folder.display()),
    )
}

/// What a registration whose answer is lost needs to be gone on with.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Registering {
    username: String,
    salt: Salt,
    recovery_code: String,
}

impl Registering {
    fn read(tx: &fastchat_e2e::store::Reader<'_>) -> Result<Option<Self>, Problem> {
        let row = identity::registering(tx)?;
        Ok(row.and_then(|row| serde_json::from_slice(row.expose()).ok()))
    }

    fn recovery_code(&self) -> Result<RecoveryCode, Problem> {
        RecoveryCode::parse(&self.recovery_code).map_err(|error| Problem::declined("profile-damaged", error.to_string()))
    }
}

/// Draws and keeps what must not change when it is tried again; says whether it was there already.
fn begin(profile: &Profile, username: &Username) -> Result<(Registering, bool), Problem> {
    profile.write(|tx| {
        if let Some(begun) = Registering::read(tx)? {
            return Ok((begun, true));
        }
        let begun = Registering {
            username: username.as_str().to_owned(),
            salt: rand::random(),
            recovery_code: RecoveryCode::random(&mut rand::rng()).show().to_string(),
        };
        let row = serde_json::to_vec(&begun).map(Zeroizing::new);
        let row = row.map_err(|error| Problem::declined("internal", error.to_string()))?;
        identity::save_registering(tx, Some(&row))?;
        Ok((begun, false))
    })
}

/// The name can't be had: the profile is blank again.
async fn give_up(profile: &Arc<Profile>) -> Result<(), Problem> {
    profile
        .run(|profile| profile.write(|tx| identity::save_registering(tx, None)))
        .await
}

/// A password, stretched.
struct Opened {
    password: Password,
    auth: Auth,
    wrap: WrapKey,
}

async fn stretched(password: Password, salt: Salt, kdf: Kdf) -> Result<Opened, Problem> {
    let work = move || -> Result<Opened, Problem> {
        let stretched = stretch(&password, &salt, kdf)?;
        Ok(Opened {
            auth: stretched.auth(),
            wrap: stretched.wrap(),
            password,
        })
    };
    crate::profile::off_thread(work).await
}

/// What opens the keyring.
enum Opener {
    Password(WrapKey),
    RecoveryCode(RecoveryWrapKey),
}

/// Signs in on a connection; `known` is the device that the profile is already.
async fn sign_in(
    config: &Config,
    profile: &Arc<Profile>,
    mut connection: Connection,
    username: &Username,
    known: Option<Me>,
    proof: Proof,
    device_name: &str,
) -> Result<Me, Problem> {
    let AuthParameters { salt, kdf } = chat::auth_params(&connection, wire_name(username)?).await?;
    let kdf = Kdf::new(&kdf.alg, kdf.m_kib, kdf.t, kdf.p)?;
    let salt: Salt = salt.0.try_into().map_err(|_| {
        Problem::declined(
            "bad-kdf",
            "the server's salt has another length than 16 bytes: do not sign in to this server",
        )
    })?;
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
    let request = Login {
        username: wire_name(username)?,
        auth: exposed(&auth),
        method,
        device: known.as_ref().map(|me| me.device.wire()),
        device_name: known.is_none().then(|| device_name.to_owned()),
    };
    let (logged_in, sealed) = chat::login(&connection, &request).await?;
    let binding = Binding {
        username: username.clone(),
        version: logged_in.keyring_version,
        kdf,
    };
    let (_, keyring) = match opener {
        Opener::Password(wrap) => open_with_password(&sealed, &binding, &wrap)?,
        Opener::RecoveryCode(wrap) => open_with_recovery_code(&sealed, &binding, &wrap)?,
    };
    let me = Me {
        account: logged_in.account.sealed(),
        device: logged_in.device.sealed(),
        username: username.clone(),
    };
    if known.as_ref().is_some_and(|known| *known != me) {
        return Err(Problem::declined(
            "bad-account",
            "the server signed in another account or device than this profile's: don't trust it before its operator explains",
        ));
    }
    finish(profile, &connection, me.clone(), keyring, logged_in.token).await?;
    Ok(me)
}

/// Signs this device's credential where it has none, keeps all of it, and tells the fleet.
async fn finish(profile: &Arc<Profile>, connection: &Connection, me: Me, keyring: Keyring, token: Secret) -> Result<(), Problem> {
    let identity_key = keyring.identity();
    let backup = keyring.newest_backup().map(|(generation, seed)| (generation, seed.public()));
    drop(keyring);
    profile
        .run(move |profile| {
            profile.write(|tx| {
                match identity::credential(tx)? {
                    Some(own) if own.subject().identity_key != identity_key.public() => {
                        return Err(Problem::declined(
                            "identity-changed",
                            "the account's keyring holds another identity than this device's: don't trust this server before its operator explains",
                        ));
                    }
                    Some(_) => {}
                    None => {
                        let key = DeviceKey::random(&mut rand::rng());
                        let credential = Credential::issue(
                            &identity_key,
                            me.account,
                            me.username.clone(),
                            me.device,
                            key.public(),
                            clock::now_ms(),
                        );
                        identity::save(tx, &credential, &key, backup)?;
                    }
                }
                identity::save_token(tx, Some(&token))?;
                identity::save_registering(tx, None)
            })
        })
        .await?;
    // Signed in already: what fails here is done at the next start.
    if let Err(problem) = upkeep::keep_up(connection, profile).await {
        tracing::warn!(%problem, "the fleet does not know all of this device yet");
    }
    Ok(())
}

fn exposed(auth: &Auth) -> Secret32 {
    Secret32::new(*auth.expose())
}

fn wire_name(username: &Username) -> Result<fastchat_wire::Username, Problem> {
    username
        .as_str()
        .parse()
        .map_err(|_| Problem::Usage(format!("\"{username}\" is no name")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_profile_that_keeps_a_recovery_code_not_yet_shown_is_not_signed_in_over_it() {
        let folder = tempfile::tempdir().unwrap();
        let username: Username = "alice".parse().unwrap();
        let profile = blank(folder.path(), &username).unwrap();
        let (begun, again) = begin(&profile, &username).unwrap();
        assert!(!again);
        drop(profile);

        let config = Config::new("127.0.0.1:1").unwrap();
        let proof = || Proof::Password(Password::new("correct horse".to_owned()));
        for name in ["alice", "bob"] {
            let refused = login(&config, folder.path(), name, proof(), "laptop").await.unwrap_err();
            assert_eq!(refused.code(), "profile-in-use");
            assert!(refused.to_string().contains("register alice"), "{refused}");
        }
        let profile = blank(folder.path(), &username).unwrap();
        let (still, again) = begin(&profile, &username).unwrap();
        assert!(again);
        assert_eq!((still.salt, &still.recovery_code), (begun.salt, &begun.recovery_code));
        assert_eq!(blank(folder.path(), &"bob".parse().unwrap()).unwrap_err().code(), "profile-in-use");
    }
}
