//! A new account, and its first device.
//!
//! What must not change when a try whose answer was lost is gone on with is kept before it is sent.

use super::{Proof, Registered, exposed, finish, in_use, sign_in::sign_in, stretch::stretched, wire_name};
use crate::{
    Config, Errand, chat, enter,
    ids::Seal,
    problem::Problem,
    profile::{Me, Profile, identity},
    record,
};
use fastchat_e2e::{
    Kdf, Keyring, RecoveryCode, StoreError, Username,
    keyring::{Binding, seal_keyring},
    password::Salt,
    secret::{MasterKey, Password},
};
use fastchat_wire::{
    Code,
    chat::{auth_params::Kdf as WireKdf, register::Register},
    encoding::Bytes64,
};
use serde::{Deserialize, Serialize};
use std::{path::Path, sync::Arc};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

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
    let known = blank(folder, &username)?;
    let kept = known.as_ref().map(|profile| profile.read(Registering::read)).transpose()?.flatten();
    let again = kept.is_some();
    let begun = kept.unwrap_or_else(|| Registering::draw(&username));
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
    let connection = enter(config, Errand::default()).await?.connection;
    // Kept once there is somebody to register with, and before anything is said: a fleet that is away leaves no profile.
    let profile = match known {
        Some(profile) => profile,
        None => Profile::create(folder)?,
    };
    let profile = Arc::new(profile);
    profile.run(move |profile| begin(profile, &begun)).await?;
    match chat::register(&connection, &request, sealed.into()).await.map_err(Problem::from) {
        Ok(registered) => {
            let me = Me {
                account: registered.account.sealed(),
                device: registered.device.sealed(),
                username,
            };
            finish(&profile, &connection, me.clone(), keyring, registered.token, false).await?;
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
                false,
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

/// A profile that nobody has signed in to, or none yet.
fn blank(folder: &Path, username: &Username) -> Result<Option<Profile>, Problem> {
    let profile = match Profile::open(folder) {
        Err(Problem::Store(StoreError::Missing { .. })) => return Ok(None),
        opened => opened?,
    };
    if let Some(me) = profile.me()? {
        return Err(in_use(folder, &me.username));
    }
    match profile.read(Registering::read)? {
        Some(begun) if begun.username != username.as_str() => Err(Problem::declined(
            "profile-in-use",
            format!(
                "{} has begun to register @{}: run that again, or choose another profile",
                folder.display(),
                begun.username
            ),
        )),
        _ => Ok(Some(profile)),
    }
}

/// What a registration whose answer is lost needs to be gone on with.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Registering {
    pub(super) username: String,
    salt: Salt,
    recovery_code: String,
}

impl Registering {
    fn draw(username: &Username) -> Self {
        Self {
            username: username.as_str().to_owned(),
            salt: rand::random(),
            recovery_code: RecoveryCode::random(&mut rand::rng()).show().to_string(),
        }
    }

    pub(super) fn read(tx: &fastchat_e2e::store::Reader<'_>) -> Result<Option<Self>, Problem> {
        let row = identity::registering(tx)?;
        Ok(row.and_then(|row| serde_json::from_slice(row.expose()).ok()))
    }

    fn recovery_code(&self) -> Result<RecoveryCode, Problem> {
        RecoveryCode::parse(&self.recovery_code).map_err(|error| Problem::declined("profile-damaged", error.to_string()))
    }
}

/// Keeps what must not change when it is tried again.
fn begin(profile: &Profile, begun: &Registering) -> Result<(), Problem> {
    profile.write(|tx| match Registering::read(tx)? {
        Some(kept) if kept.salt != begun.salt => Err(Problem::declined(
            "profile-busy",
            "another process registers an account into this profile: wait for it, or choose another profile",
        )),
        Some(_) => Ok(()),
        None => {
            let row = serde_json::to_vec(begun).map(Zeroizing::new);
            let row = row.map_err(|error| Problem::declined("internal", error.to_string()))?;
            identity::save_registering(tx, Some(&row))
        }
    })
}

/// The name can't be had: the profile is blank again.
async fn give_up(profile: &Arc<Profile>) -> Result<(), Problem> {
    profile
        .run(|profile| profile.write(|tx| identity::save_registering(tx, None)))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::login;

    const NOBODY: &str = "127.0.0.1:1";

    fn password() -> Password {
        Password::new("correct horse".to_owned())
    }

    #[tokio::test]
    async fn a_profile_that_keeps_a_recovery_code_not_yet_shown_is_not_signed_in_over_it() {
        let folder = tempfile::tempdir().unwrap();
        let username: Username = "alice".parse().unwrap();
        assert!(blank(folder.path(), &username).unwrap().is_none());
        let profile = Profile::create(folder.path()).unwrap();
        let begun = Registering::draw(&username);
        begin(&profile, &begun).unwrap();
        drop(profile);

        let config = Config::new(NOBODY).unwrap();
        for name in ["alice", "bob"] {
            let proof = Proof::Password(password());
            let refused = login(&config, folder.path(), name, proof, "laptop").await.unwrap_err();
            assert_eq!(refused.code(), "profile-in-use");
            assert!(refused.to_string().contains("register alice"), "{refused}");
        }
        let profile = blank(folder.path(), &username).unwrap().unwrap();
        let kept = profile.read(Registering::read).unwrap().unwrap();
        assert_eq!((kept.salt, &kept.recovery_code), (begun.salt, &begun.recovery_code));
        begin(&profile, &kept).unwrap();
        assert_eq!(begin(&profile, &Registering::draw(&username)).unwrap_err().code(), "profile-busy");
        assert_eq!(blank(folder.path(), &"bob".parse().unwrap()).unwrap_err().code(), "profile-in-use");
    }

    #[tokio::test]
    async fn a_fleet_that_is_away_leaves_no_profile() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("alice");
        let config = Config::new(NOBODY).unwrap();
        let refused = register(&config, &folder, "alice", password(), "laptop").await.unwrap_err();
        assert_eq!(refused.exit_code(), 3);
        let refused = login(&config, &folder, "alice", Proof::Password(password()), "laptop")
            .await
            .unwrap_err();
        assert_eq!(refused.exit_code(), 3);
        assert!(!folder.exists());
    }
}
