//! Who is behind a name, or an account: asked of the server, many at a time, and held against the pins.

use super::{Messenger, shared::Shared};
use crate::{
    Connection, chat,
    ids::{Expose, Seal},
    problem::Problem,
    profile::{contacts, take, trust},
};
use fastchat_e2e::{AccountId, Credential, IdentityPublicKey, Username};
use fastchat_wire::{Code, chat::lookup::LookedUp};
use futures::future::{join_all, try_join_all};
use std::{collections::BTreeSet, sync::Arc};

/// Look-ups that are on their way at a time; their answers are kept in one step.
const AT_ONCE: usize = 64;

impl Messenger {
    /// Makes sure that this device knows somebody by a name: the server is asked where it doesn't.
    ///
    /// # Errors
    /// `not-found`: nobody is called so. `no-keys`; [`Problem::Distrusted`].
    pub async fn acquaint(&self, name: &Username) -> Result<AccountId, Problem> {
        let mut found = self.find(std::slice::from_ref(name)).await?;
        found.pop().ok_or_else(|| nobody(name))
    }

    /// The same for many, in their order; `progress` is told how many of them are known by then. What asks for them
    /// afterwards finds them in the profile.
    ///
    /// # Errors
    /// As [`Messenger::acquaint`], for the first who is to blame.
    pub async fn acquaint_all(&self, names: &[Username], progress: impl Fn(usize)) -> Result<Vec<AccountId>, Problem> {
        let mut accounts = Vec::with_capacity(names.len());
        for some in names.chunks(AT_ONCE) {
            accounts.extend(self.find(some).await?);
            progress(accounts.len());
        }
        Ok(accounts)
    }

    /// The accounts of names, each once.
    pub(super) async fn accounts(&self, names: &[Username]) -> Result<Vec<AccountId>, Problem> {
        let accounts: BTreeSet<_> = self.acquaint_all(names, |_| ()).await?.into_iter().collect();
        Ok(accounts.into_iter().collect())
    }

    /// Accounts that this device has met, else as the server says, and then pinned.
    async fn find(&self, names: &[Username]) -> Result<Vec<AccountId>, Problem> {
        let asked = names.to_vec();
        let known = self
            .shared
            .profile
            .run(move |profile| profile.read(|tx| asked.iter().map(|name| contacts::account(tx, name)).collect::<Result<Vec<_>, _>>()))
            .await?;
        let unknown = names.iter().zip(&known).filter(|(_, known)| known.is_none());
        let unknown: Vec<Username> = unknown.map(|(name, _)| name.clone()).collect();
        let mut found = match unknown.is_empty() {
            true => Vec::new(),
            false => self.meet(&unknown).await?,
        }
        .into_iter();
        Ok(known.into_iter().filter_map(|known| known.or_else(|| found.next())).collect())
    }

    /// Asks who they are, and pins them.
    async fn meet(&self, names: &[Username]) -> Result<Vec<AccountId>, Problem> {
        let connection = self.shared.connection().await?;
        let answers = join_all(names.iter().map(|name| ask(&connection, name))).await;
        // The first of them, as they were named, says what is wrong.
        let said: Vec<_> = answers.into_iter().collect::<Result<_, _>>()?;
        let met = self.shared.profile.run(move |profile| {
            profile.change(|_, tx| {
                let mut accounts = Vec::with_capacity(said.len());
                for (name, account, identity) in &said {
                    match contacts::meet(tx, *account, name, identity)? {
                        None => accounts.push(*account),
                        // What was offered is kept, whatever comes of the request.
                        Some(claim) => {
                            trust::offer(tx, *account, &claim)?;
                            return Ok(Err(trust::turned_down(*account, claim)));
                        }
                    }
                }
                Ok(Ok(accounts))
            })
        });
        met.await?
    }
}

async fn ask(connection: &Connection, name: &Username) -> Result<(Username, AccountId, IdentityPublicKey), Problem> {
    let wire_name = name
        .as_str()
        .parse()
        .map_err(|_| Problem::Usage(format!("\"{name}\" is no name")))?;
    let found = match chat::lookup(connection, wire_name).await.map_err(Problem::from) {
        Err(Problem::Refused(refused)) if refused.code == Code::NotFound => return Err(nobody(name)),
        found => found?,
    };
    let (account, identity) = believed(name, &found)?;
    Ok((name.clone(), account, identity))
}

fn nobody(name: &Username) -> Problem {
    Problem::declined("not-found", format!("there is nobody called @{name}: check the name"))
}

/// Compares all those whom this device has met in groups with what the fleet says of them.
///
/// # Errors
/// The network, or the store.
pub(super) async fn acquaint(shared: &Arc<Shared>, connection: &Connection) -> Result<(), Problem> {
    loop {
        let unchecked = shared.profile.run(|profile| profile.read(contacts::unchecked)).await?;
        if unchecked.is_empty() {
            return Ok(());
        }
        let said = try_join_all(unchecked.iter().map(|(account, _)| word_on(connection, *account))).await?;
        let checked = shared.profile.run(move |profile| {
            profile.change(|groups, tx| {
                for (account, said) in said {
                    let is_known_so = match &said {
                        Some((name, identity)) => contacts::meet(tx, account, name, identity)?.is_none(),
                        None => false,
                    };
                    if !is_known_so {
                        take::doubt(groups, tx, account, crate::clock::now_ms())?;
                    }
                }
                Ok(())
            })
        });
        checked.await?;
    }
}

/// An account with the name and identity that the fleet says are its own, as far as that can be believed.
type Word = (AccountId, Option<(Username, IdentityPublicKey)>);

async fn word_on(connection: &Connection, account: AccountId) -> Result<Word, Problem> {
    let found = match chat::lookup_account(connection, account.wire()).await.map_err(Problem::from) {
        Err(Problem::Refused(refused)) if refused.code == Code::NotFound => return Ok((account, None)),
        found => found?,
    };
    let name = found.username.as_str().parse::<Username>().ok();
    let said = name.and_then(|name| {
        let (said, identity) = believed(&name, &found).ok()?;
        (said == account).then_some((name, identity))
    });
    Ok((account, said))
}

/// What the server says about a name, as far as it can be believed: the devices' credentials are signed by the identity.
fn believed(name: &Username, found: &LookedUp) -> Result<(AccountId, IdentityPublicKey), Problem> {
    let not_ready = || {
        Problem::declined(
            "no-keys",
            format!("@{name} has not finished signing in: they must start their client once"),
        )
    };
    let lie = || {
        Problem::declined(
            "bad-account",
            format!("what the server says of @{name} is not what their devices have signed: don't trust it before its operator explains"),
        )
    };
    let identity = found.identity.as_ref().ok_or_else(not_ready)?;
    let identity = IdentityPublicKey(identity.0.as_slice().try_into().map_err(|_| lie())?);
    let account = found.account.sealed();
    for device in &found.devices {
        let Some(credential) = &device.credential else { continue };
        let credential = Credential::verify(&credential.0).map_err(|_| lie())?;
        let subject = credential.subject();
        if subject.identity_key != identity || subject.account != account || subject.username != *name {
            return Err(lie());
        }
    }
    Ok((account, identity))
}
