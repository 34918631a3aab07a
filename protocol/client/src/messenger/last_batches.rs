//! What devices that were sent away had archived last: looked up once, noted, and archived with this device's batches.
//!
//! This device opens no batch: it takes the server's word for which block is whose. A server that names another one
//! can so have a restore ignore what it could withhold as well; what nobody had signed by then, it can't name.

use super::shared::Shared;
use crate::{
    Connection, chat,
    fault::{self, Fault},
    ids::{Expose, Seal},
    problem::Problem,
    profile::{archive, devices, restore},
};
use fastchat_e2e::{DeviceId, archive::FIRST_PREV};
use fastchat_wire::LogId;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::Arc};

/// Entries that are read at a time, at most.
const WINDOW: u64 = 32;

/// Notes it of those of which it is not noted. Any of the account's devices does: whoever sent one away may be lost.
///
/// # Errors
/// The network, or the store.
pub(super) async fn note(shared: &Arc<Shared>, connection: &Connection) -> Result<(), Problem> {
    let found = shared.profile.run(|profile| {
        profile.look(|groups, tx| {
            let account = groups.me().account;
            let (mut told, mut unknown) = (BTreeMap::new(), Vec::new());
            for device in devices::without_last(tx, account)? {
                match restore::last_of(tx, device)? {
                    Some(last) => _ = told.insert(device, last),
                    None => unknown.push(device),
                }
            }
            Ok((account, told, unknown))
        })
    });
    let (account, mut noted, unknown) = found.await?;
    if !unknown.is_empty() {
        let mut found = last_blocks(connection, LogId::archive_of(account.wire()), &unknown).await?;
        noted.extend(
            unknown
                .into_iter()
                .map(|device| (device, found.remove(&device).unwrap_or(FIRST_PREV))),
        );
    }
    if noted.is_empty() {
        return Ok(());
    }
    shared
        .profile
        .run(move |profile| {
            profile.write(|tx| noted.iter().try_for_each(|(device, last)| archive::note_gone(tx, *device, *last)))?;
            profile.changed();
            Ok(())
        })
        .await?;
    fault::point(Fault::NotedLast);
    Ok(())
}

/// SHA-256 of the last block of each of these devices that has one, from the log's end backwards.
async fn last_blocks(connection: &Connection, log: LogId, devices: &[DeviceId]) -> Result<BTreeMap<DeviceId, [u8; 32]>, Problem> {
    let page = chat::fetch_some(connection, log, 0, 1).await?;
    let (first, mut high) = (page.first_seq.max(1), page.last_seq);
    let mut found = BTreeMap::new();
    while high >= first && found.len() < devices.len() {
        let low = high.saturating_sub(WINDOW - 1).max(first);
        let (mut after, mut here) = (low - 1, BTreeMap::new());
        while after < high {
            let limit = u32::try_from(high - after).unwrap_or(u32::MAX);
            let page = chat::fetch_some(connection, log, after, limit).await?;
            for entry in page.entries.iter().filter(|entry| entry.seq() > after) {
                if let Some(device) = entry.head.device.map(Seal::sealed).filter(|device| devices.contains(device)) {
                    here.insert(device, Sha256::digest(&entry.block).into());
                }
            }
            match page.entries.last().map(crate::Entry::seq) {
                Some(last) if last > after => after = last,
                _ => {
                    return Err(Problem::CannotConnect(format!(
                        "the server does not give entry {} of your archive, which it says is there: ask its operator",
                        after + 1
                    )));
                }
            }
        }
        for (device, last) in here {
            found.entry(device).or_insert(last);
        }
        high = low - 1;
    }
    Ok(found)
}
