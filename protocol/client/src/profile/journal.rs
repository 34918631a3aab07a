//! The profile as a session's journal.
//!
//! A conversation's cursor is its group's, and moves with it; other logs (the inbox, conversations that this device
//! has not joined yet) have one of their own.

use super::{Profile, identity, tasks};
use crate::{
    ids::{Expose, Seal},
    journal::{Journal, Lease, Saved, StorageError},
    problem::Problem,
};
use fastchat_wire::{LogId, Secret};
use std::fs::{File, OpenOptions};

impl Journal for Profile {
    fn load(&self) -> Result<Saved, StorageError> {
        let saved = self.look(|groups, tx| {
            let mut cursors: std::collections::HashMap<LogId, u64> =
                tasks::cursors(tx)?.into_iter().map(|(log, seq)| (log.wire(), seq)).collect();
            for conversation in groups.conversations(tx)? {
                cursors.insert(conversation.wire(), groups.cursor(tx, conversation)?);
            }
            Ok(Saved {
                token: identity::token(tx)?,
                store: tasks::fleet_store(tx)?,
                cursors,
            })
        });
        Ok(saved?)
    }

    fn token(&self) -> Result<Option<Secret>, StorageError> {
        Ok(self.read(identity::token)?)
    }

    fn lease(&self) -> Result<Option<Lease>, StorageError> {
        let path = self.folder().join("session.lock");
        let open = || -> std::io::Result<File> {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        let file = open().map_err(|error| Problem::file(&path, error))?;
        Ok(Some(Box::new(file)))
    }

    fn save_token(&self, token: &Secret) -> Result<(), StorageError> {
        Ok(self.write(|tx| identity::save_token(tx, Some(token)))?)
    }

    fn save_store(&self, store: &str) -> Result<(), StorageError> {
        Ok(self.write(|tx| tasks::save_fleet_store(tx, store))?)
    }

    fn save_cursor(&self, store: &str, log: LogId, seq: u64) -> Result<(), StorageError> {
        Ok(self.change(|groups, tx| {
            let log = log.sealed();
            if tasks::fleet_store(tx)?.as_deref() == Some(store) && groups.cursor(tx, log).is_err() {
                tasks::save_cursor(tx, log, seq)?;
            }
            Ok(())
        })?)
    }
}
