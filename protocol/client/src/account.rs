//! Registering, signing in, signing out, another password.
//!
//! ```text
//!  register   draw keyring, recovery code, salt ─> kept ─> register ─────────┐
//!                                                                            ├─> credential signed, kept ─> published
//!  login      auth-params ─> stretch ─> login ─> keyring opened ─────────────┘
//! ```
//!
//! The password, the master key and both seeds are dropped before anything else is done: daily use needs the device's
//! own key alone. A new device keeps the backup seeds until it has restored the archive. A registration whose answer was
//! lost is gone on with by the same command.

mod password;
mod register;
mod sign_in;
mod stretch;

pub use password::change_password;
pub use register::register;
pub use sign_in::{begin_restore, login};

use crate::{
    Config, Connection, Errand, chat, clock, enter,
    journal::Journal,
    messenger::upkeep,
    problem::Problem,
    profile::{Me, Profile, contacts, identity, restore},
};
use fastchat_e2e::{
    Credential, DeviceKey, Keyring, RecoveryCode, Username,
    secret::{Auth, BackupSeed, Password},
};
use fastchat_wire::{Code, Secret, Secret32};
use std::{path::Path, sync::Arc};

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

fn in_use(folder: &Path, username: &Username) -> Problem {
    Problem::declined(
        "profile-in-use",
        format!("{} is the profile of @{username}: choose another one (--profile)", folder.display()),
    )
}

/// Signs this device's credential where it has none, keeps all of it, and tells the fleet. Where the archive is to be
/// restored, the seeds that open it are kept, too, until it was read.
async fn finish(
    profile: &Arc<Profile>,
    connection: &Connection,
    me: Me,
    keyring: Keyring,
    token: Secret,
    restores: bool,
) -> Result<(), Problem> {
    let identity_key = keyring.identity();
    let backup = keyring.newest_backup().map(|(generation, seed)| (generation, seed.public()));
    let seeds: Vec<(u32, BackupSeed)> = match restores {
        true => keyring.backups().map(|(generation, seed)| (generation, seed.clone())).collect(),
        false => Vec::new(),
    };
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
                    Some(_) => {
                        if let Some((generation, public)) = backup {
                            identity::save_backup(tx, generation, public)?;
                        }
                    }
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
                        contacts::meet(tx, me.account, &me.username, &identity_key.public())?;
                    }
                }
                if restores {
                    restore::begin(tx, seeds.iter().map(|(generation, seed)| (*generation, seed)))?;
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
