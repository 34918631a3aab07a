//! The account's devices: listed, named, sent away; and what others' devices are called.

use super::{Messenger, last_batches, shared::Shared};
use crate::{
    Connection, chat,
    fault::{self, Fault},
    ids::{Expose, Seal},
    problem::Problem,
    profile::{
        devices, rooms, take,
        tasks::{self, Wanted, Wish},
    },
};
use fastchat_e2e::{AccountId, ConversationId, Credential, DeviceId, EntryId, mls::MemberDevice};
use fastchat_wire::{Code, chat::lookup::LookedUp, limits::LABEL_BYTES_MAX};
use std::{collections::BTreeMap, sync::Arc};

/// A device of the own account, as the fleet lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnDevice {
    /// Which.
    pub device: DeviceId,
    /// What it is called.
    pub name: String,
    /// Since when: ms since 1970, by the server's clock.
    pub created_at_ms: u64,
    /// The one that asks.
    pub is_this: bool,
    /// Its keys are signed by the account. One without reads nothing: its sign-in was never finished.
    pub has_keys: bool,
}

impl Messenger {
    /// The account's devices, oldest first.
    ///
    /// # Errors
    /// The network.
    pub async fn devices(&self) -> Result<Vec<OwnDevice>, Problem> {
        let me = &self.me;
        let connection = self.shared.connection().await?;
        let found = chat::lookup_account(&connection, me.account.wire()).await?;
        let mut listed: Vec<OwnDevice> = found
            .devices
            .iter()
            .map(|device| OwnDevice {
                device: device.device.sealed(),
                name: device.name.clone(),
                created_at_ms: device.created_at,
                is_this: device.device.sealed() == me.device,
                has_keys: device.credential.as_ref().is_some_and(|credential| {
                    Credential::verify(&credential.0).is_ok_and(|credential| credential.subject().account == me.account)
                }),
            })
            .collect();
        listed.sort_by_key(|device| (device.created_at_ms, device.device));
        Ok(listed)
    }

    /// Names a device of the account anew.
    ///
    /// # Errors
    /// [`Problem::Usage`] for what can't be a name; `not-found`; the network.
    pub async fn rename_device(&self, device: DeviceId, name: &str) -> Result<(), Problem> {
        if name.is_empty() || name.len() > LABEL_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(Problem::Usage(format!(
                "\"{}\" is no name for a device: 1 to {LABEL_BYTES_MAX} bytes, without control characters",
                name.escape_debug()
            )));
        }
        let connection = self.shared.connection().await?;
        chat::rename_device(&connection, device.wire(), name).await?;
        let name = name.to_owned();
        self.shared
            .profile
            .run(move |profile| profile.write(|tx| devices::named(tx, device, Some(&name))))
            .await
    }

    /// Sends another device of the account away, for good: its sessions end at once, and by a commit in each
    /// conversation it reads nothing that follows. Gives in how many it was.
    ///
    /// # Errors
    /// [`Problem::Usage`] for this very device; `not-found`; the network. `timed-out` where it is on its way and does
    /// not end within a minute: it goes on whenever this device is online.
    pub async fn remove_device(&self, device: DeviceId) -> Result<usize, Problem> {
        if device == self.me.device {
            return Err(Problem::Usage(
                "that is this device: send it away from another one, or `fastchat logout` here".to_owned(),
            ));
        }
        let connection = self.shared.connection().await?;
        let own = chat::lookup_account(&connection, self.me.account.wire()).await?;
        if !own.devices.iter().any(|listed| listed.device.sealed() == device) {
            return Err(Problem::declined(
                "not-found",
                "the account has no such device: see `fastchat devices`",
            ));
        }
        // Kept first: whatever happens from here on, it is gone on with.
        let wishes = self.shared.profile.run(move |profile| {
            profile.change(|groups, tx| {
                devices::send_away(groups, tx, device)?;
                let concerns = |wish: &Wish| matches!(&wish.what, Wanted::SendAway(devices) if devices.contains(&device));
                let wishes = tasks::wishes(tx)?.into_iter().filter(|(_, wish)| concerns(wish));
                Ok(wishes.map(|(id, _)| id).collect::<Vec<EntryId>>())
            })
        });
        let wishes = wishes.await?;
        fault::point(Fault::SendingAway);
        send_away(&self.shared, &connection).await?;
        self.shared.ask(|errands| errands.wishes = true);
        for id in &wishes {
            if self.outcome(*id).await?.is_none() {
                return Err(Problem::declined(
                    "timed-out",
                    "the device is signed out. Not all conversations know of it yet: that goes on whenever this device is online",
                ));
            }
        }
        Ok(wishes.len())
    }
}

/// Tells the fleet of own devices that were sent away, looks for conversations in which they still are, and notes what
/// they had archived last.
///
/// # Errors
/// The network, or the store.
pub(super) async fn send_away(shared: &Arc<Shared>, connection: &Connection) -> Result<(), Problem> {
    let untold = shared.profile.run(|profile| profile.read(devices::to_remove)).await?;
    for device in untold {
        match chat::remove_device(connection, device.wire()).await.map_err(Problem::from) {
            // Told before, and killed before that was noted.
            Err(Problem::Refused(refused)) if refused.code == Code::NotFound => {}
            told => told?,
        }
        fault::point(Fault::SentAway);
        shared
            .profile
            .run(move |profile| profile.write(|tx| devices::removed(tx, device)))
            .await?;
    }
    shared.profile.run(|profile| profile.change(devices::sweep)).await?;
    shared.ask(|errands| errands.wishes = true);
    // Only now: what it has archived by then, it has.
    last_batches::note(shared, connection).await
}

/// Asks the fleet what devices are called that came lately; and sees to it that those that came by themselves are told
/// what their groups are called.
///
/// # Errors
/// The network, or the store.
pub(super) async fn acquaint(shared: &Arc<Shared>, connection: &Connection) -> Result<(), Problem> {
    let (unnamed, owed) = shared
        .profile
        .run(|profile| profile.read(|tx| Ok((devices::unnamed(tx)?, rooms::names_owed(tx)?))))
        .await?;
    for conversation in owed {
        let at = super::steward::soon(shared, conversation).await?;
        shared.ask(|errands| _ = errands.tell_names.entry(conversation).or_insert(at));
    }
    let mut accounts = BTreeMap::<AccountId, Vec<MemberDevice>>::new();
    for leaf in unnamed {
        accounts.entry(leaf.account).or_default().push(leaf);
    }
    for (account, leaves) in accounts {
        let found = match chat::lookup_account(connection, account.wire()).await.map_err(Problem::from) {
            Ok(found) => Some(found),
            Err(Problem::Refused(refused)) if refused.code == Code::NotFound => None,
            Err(problem) => return Err(problem),
        };
        shared
            .profile
            .run(move |profile| {
                profile.change(|_, tx| {
                    leaves
                        .iter()
                        .try_for_each(|leaf| devices::named(tx, leaf.device, name_in(found.as_ref(), leaf.device)))
                })
            })
            .await?;
    }
    Ok(())
}

fn name_in(found: Option<&LookedUp>, device: DeviceId) -> Option<&str> {
    let device = found?.devices.iter().find(|listed| listed.device.sealed() == device)?;
    Some(&device.name)
}

/// Tells devices that came in by themselves what a group is called, where nobody else has.
///
/// # Errors
/// The store.
pub(super) async fn tell_name(shared: &Arc<Shared>, conversation: ConversationId) -> Result<(), Problem> {
    shared
        .profile
        .run(move |profile| profile.change(|groups, tx| take::tell_owed_name(groups, tx, conversation)))
        .await?;
    shared.handle.wake();
    Ok(())
}
