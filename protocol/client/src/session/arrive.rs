//! One try to get onto a server, signed in, with the list of logs.
//!
//! ```text
//!  assign ─> wait-ms ─> dial ─> hello ─> resume ─> token kept ─> store kept ─> conversations ─> Arrived
//!    └────────┴───────────┴───────┴────────┴── failed: Setback::Retry, or Setback::End
//! ```

use super::ended::Ended;
use crate::{
    chat::{self, Listing},
    config::Config,
    connection::Connection,
    enter::{Errand, enter_once, is_final, retry_after},
    error::{Error, Unkept},
    journal::{Journal, StorageError},
};
use fastchat_wire::{AccountId, Code, DeviceId, MoveId};
use std::{sync::Arc, time::Duration};
use tokio::task::spawn_blocking;

/// On a server, signed in.
pub(super) struct Arrived {
    pub(super) connection: Connection,
    pub(super) server: String,
    pub(super) store: String,
    pub(super) account: AccountId,
    pub(super) device: DeviceId,
    pub(super) listing: Listing,
}

/// Why a try failed.
pub(super) enum Setback {
    /// Try again, not before so long where the fleet says so.
    Retry(Error, Option<Duration>),
    /// No try will change it.
    End(Ended),
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        let after = retry_after(&error);
        match error {
            Error::Refused(refused) if refused.code == Code::Unauthenticated => Self::End(Ended::SignedOut(refused)),
            Error::Refused(refused) if refused.code == Code::Locked => Self::End(Ended::Locked(refused)),
            Error::Refused(refused) if is_final(&Error::Refused(refused.clone())) => Self::End(Ended::Refused(refused)),
            Error::Usage(what) => Self::End(Ended::Usage(what)),
            error => Self::Retry(error, after),
        }
    }
}

impl From<crate::Failure> for Setback {
    fn from(failure: crate::Failure) -> Self {
        Error::from(failure).into()
    }
}

impl From<Unkept> for Setback {
    fn from(unkept: Unkept) -> Self {
        Self::End(unkept.into())
    }
}

/// One try.
pub(super) async fn arrive(
    config: Arc<Config>,
    journal: Arc<dyn Journal>,
    store: Option<String>,
    balancer: usize,
    move_id: Option<MoveId>,
) -> Result<Arrived, Setback> {
    let errand = Errand { resume: true, move_id };
    let entered = enter_once(&config, balancer, errand).await?;
    let connection = entered.connection;
    let asked = Arc::clone(&journal);
    let (lease, token) = blocking(move || Ok((asked.lease()?, asked.token()?))).await?;
    let Some(token) = token else {
        return Err(Setback::End(Ended::NoToken));
    };
    let resumed = chat::resume(&connection, token.clone()).await?;
    if resumed.token != token {
        let (journal, fresh) = (Arc::clone(&journal), resumed.token.clone());
        blocking(move || journal.save_token(&fresh)).await?;
    }
    drop(lease);
    if store.as_ref() != Some(&entered.welcome.store) {
        let store = entered.welcome.store.clone();
        blocking(move || journal.save_store(&store)).await?;
    }
    let listing = chat::conversations(&connection).await?;
    Ok(Arrived {
        connection,
        server: entered.welcome.server,
        store: entered.welcome.store,
        account: resumed.account,
        device: resumed.device,
        listing,
    })
}

/// Runs what may block off the async threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, StorageError> + Send + 'static) -> Result<T, Unkept> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(Unkept::from),
        Err(error) => Err(Unkept(error.to_string())),
    }
}
