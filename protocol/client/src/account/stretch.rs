//! A password becomes keys: a second of one core.

use crate::problem::Problem;
use fastchat_e2e::{
    Kdf,
    password::{Salt, stretch},
    secret::{Auth, Password, WrapKey},
};

/// A password, stretched.
pub(super) struct Opened {
    pub(super) password: Password,
    pub(super) auth: Auth,
    pub(super) wrap: WrapKey,
}

pub(super) async fn stretched(password: Password, salt: Salt, kdf: Kdf) -> Result<Opened, Problem> {
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
