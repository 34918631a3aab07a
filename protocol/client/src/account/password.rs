//! Another password.
//!
//! ```text
//!  old password or recovery code ─> login ─> keyring opened ─> master key sealed under the new password ─┐
//!                                                                                                        v
//!                                 answer lost: sign in with the new one; it says whether it holds <─ change-password
//! ```
//!
//! Nothing that is sealed changes: the account's other devices, their tokens and the recovery code go on as they were.

use super::{
    Proof, exposed,
    sign_in::{Proved, SignInAs, parameters, prove},
    stretch::stretched,
};
use crate::{
    Config, Errand, chat, enter,
    fault::{self, Fault},
    problem::Problem,
    profile::{Me, Profile},
};
use fastchat_e2e::{
    Kdf,
    keyring::{Binding, reseal_for_password},
    password::Salt,
    secret::Password,
};
use fastchat_wire::{
    chat::{auth_params::Kdf as WireKdf, change_password::ChangePassword},
    encoding::Bytes64,
};
use std::sync::Arc;

/// Replaces the account's password; `proof` is the old one, or the recovery code. Takes seconds of one core.
///
/// # Errors
/// `bad-credentials`; `conflict` where it was changed elsewhere at the same moment; `not-signed-in` in a profile that
/// never was; [`Problem::CannotConnect`] says whether the new password holds, or that this is not known: one of the two
/// does, and the recovery code in any case.
pub async fn change_password(config: &Config, profile: &Arc<Profile>, proof: Proof, password: Password) -> Result<Me, Problem> {
    let me = profile.run(Profile::me).await?.ok_or(Problem::Ended(crate::Ended::NoToken))?;
    let (salt, kdf): (Salt, Kdf) = (rand::random(), Kdf::REGISTRATION);
    // Before the connection: it takes a while, and the server waits for nobody.
    let new = stretched(password, salt, kdf).await?;

    let connection = enter(config, Errand::default()).await?.connection;
    let proved = prove(config, connection, &me.username, SignInAs::Known(me.clone()), proof).await?;
    let binding = Binding {
        version: proved.binding.version + 1,
        kdf,
        ..proved.binding.clone()
    };
    let keyring = reseal_for_password(
        &proved.sealed,
        &proved.keyring,
        &proved.master,
        &binding,
        &new.wrap,
        &mut rand::rng(),
    )?;
    let request = ChangePassword {
        auth: exposed(&proved.auth),
        method: proved.method,
        new_salt: Bytes64(salt.to_vec()),
        new_kdf: WireKdf::registration(),
        new_auth: exposed(&new.auth),
        new_recovery_auth: None,
        keyring_version: proved.binding.version,
    };
    let changed = chat::change_password(&proved.connection, &request, keyring.into()).await;
    let outcome = match changed.map_err(Problem::from) {
        Ok(_) => {
            fault::point(Fault::PasswordChanged);
            Ok(())
        }
        Err(problem) if problem.is_passing() => look(config, &me, salt, new.password, problem).await,
        Err(problem) => Err(problem),
    };
    leave(&proved).await;
    outcome.map(|()| me)
}

/// The answer was lost: whether the new password holds says the server, and proves it.
async fn look(config: &Config, me: &Me, salt: Salt, password: Password, lost: Problem) -> Result<(), Problem> {
    let unknown = |why: &Problem| {
        Problem::CannotConnect(format!(
            "{why}. Whether the password was changed is not known: sign in with the new one, and if that is refused, with the old one"
        ))
    };
    let look = async {
        let connection = enter(config, Errand::default()).await?.connection;
        let (now, _) = parameters(&connection, &me.username).await?;
        if now != salt {
            connection.close();
            return Ok(false);
        }
        let proved = prove(
            config,
            connection,
            &me.username,
            SignInAs::Known(me.clone()),
            Proof::Password(password),
        )
        .await?;
        leave(&proved).await;
        Ok(true)
    };
    match look.await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Problem::CannotConnect(format!(
            "{lost}. The password was not changed, the old one holds: try again"
        ))),
        Err(problem) => Err(unknown(&problem)),
    }
}

/// Ends the session that this needed; the device's own goes on. One that is left over ends with the account's others.
async fn leave(proved: &Proved) {
    if let Err(failure) = chat::logout(&proved.connection, false).await {
        tracing::debug!(%failure, "a session is left over");
    }
    proved.connection.close();
}
