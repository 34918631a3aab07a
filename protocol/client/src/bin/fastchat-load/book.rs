//! The accounts that a run uses, kept between runs: to register one costs the
//! server as much as ten thousand messages.
//!
//! A file has a line with the fleet's store, then a line for each account, with
//! its secrets: only its owner may read it. One run at a time uses it.

use crate::{enter::Entrance, line::Line, trouble::Trouble};
use fastchat_wire::{
    AccountId, Block, DeviceId, Secret, Secret32, Username, chat::auth_params::Kdf, chat::register::Register, encoding::Bytes64,
};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Registrations that are asked for at once.
const REGISTRATIONS: usize = 8;
/// Registered accounts are saved this often.
const SAVE_EVERY: usize = 100;
/// What a device is called in the list of its account's devices.
pub(crate) const DEVICE_NAME: &str = "fastchat-load";

/// An account with its device and its session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) username: Username,
    pub(crate) auth: Secret32,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) token: Secret,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Title {
    store: String,
}

/// The accounts that a run uses.
#[derive(Debug)]
pub(crate) struct Book {
    file: Option<PathBuf>,
    store: String,
    accounts: Vec<Account>,
    /// Held, so that no other run uses the same sessions.
    _lock: Option<File>,
}

impl Book {
    /// Opens the book of a fleet: a file, a folder with one file for each fleet, or nothing that lasts.
    ///
    /// # Errors
    /// The file can't be read, is another fleet's, or another run uses it.
    pub(crate) fn open(place: Option<&Path>, store: &str) -> Result<Self, Trouble> {
        let mut book = Self {
            file: None,
            store: store.to_owned(),
            accounts: Vec::new(),
            _lock: None,
        };
        let Some(place) = place else {
            return Ok(book);
        };
        let file = if place.is_dir() {
            let name: String = store.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            place.join(format!("{name}.jsonl"))
        } else {
            place.to_owned()
        };
        book._lock = Some(lock(&file.with_extension("lock"))?);
        match fs::read_to_string(&file) {
            Ok(text) => book.accounts = parse(&file, &text, store)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Trouble::file(&file, &error)),
        }
        book.file = Some(file);
        Ok(book)
    }

    /// The first `count` accounts; registers those that are not there yet.
    ///
    /// # Errors
    /// The fleet refuses, or the file can't be written.
    pub(crate) async fn have(&mut self, count: usize, entrance: &Entrance, told: impl Fn(usize, usize)) -> Result<&mut [Account], Trouble> {
        while self.accounts.len() < count {
            told(self.accounts.len(), count);
            let lacking = (count - self.accounts.len()).min(SAVE_EVERY);
            let first = self.accounts.len();
            let registered = stream::iter(first..first + lacking)
                .map(|seat| register(entrance, seat))
                .buffer_unordered(REGISTRATIONS);
            self.accounts.extend(registered.try_collect::<Vec<_>>().await?);
            self.save()?;
        }
        Ok(&mut self.accounts[..count])
    }

    /// Keeps the sessions as they are now.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn save(&self) -> Result<(), Trouble> {
        self.file
            .as_ref()
            .map_or(Ok(()), |file| self.write(file).map_err(|error| Trouble::file(file, &error)))
    }

    fn write(&self, file: &Path) -> io::Result<()> {
        let title = Title { store: self.store.clone() };
        let mut text = serde_json::to_string(&title)? + "\n";
        for account in &self.accounts {
            text += &serde_json::to_string(account)?;
            text.push('\n');
        }
        let new = file.with_extension("new");
        let mut options = OpenOptions::new();
        let mut written = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        written.write_all(text.as_bytes())?;
        fs::rename(new, file)
    }
}

fn lock(path: &Path) -> Result<File, Trouble> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = opened.map_err(|error| Trouble::file(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Trouble::Usage(format!(
            "{}: another run uses these accounts: wait for it, or give this one another --accounts",
            path.display()
        ))),
        Err(fs::TryLockError::Error(error)) => Err(Trouble::file(path, &error)),
    }
}

fn parse(file: &Path, text: &str, store: &str) -> Result<Vec<Account>, Trouble> {
    let damaged =
        |error: serde_json::Error| Trouble::Usage(format!("{}: {error}: delete it, and accounts are registered anew", file.display()));
    let mut lines = text.lines();
    let title: Title = serde_json::from_str(lines.next().unwrap_or_default()).map_err(damaged)?;
    if title.store != store {
        return Err(Trouble::Usage(format!(
            "{}: these accounts are of another fleet ({}, this one is {store}): give another --accounts; a folder has one file for each fleet",
            file.display(),
            title.store
        )));
    }
    lines.map(|line| serde_json::from_str(line).map_err(damaged)).collect()
}

async fn register(entrance: &Entrance, seat: usize) -> Result<Account, Trouble> {
    let username: Username = format!("load-{:016x}", rand::random::<u64>())
        .parse()
        .map_err(|error| Trouble::Failed(format!("a name that is none: {error}")))?;
    let request = Register {
        username: username.clone(),
        salt: Bytes64(rand::random::<[u8; 16]>().to_vec()),
        kdf: Kdf::registration(),
        auth: Secret32::new(rand::random()),
        recovery_auth: None,
        device_name: DEVICE_NAME.to_owned(),
    };
    // Nobody will ever open it.
    let keyring = Block::binary(vec![0; 64]);
    let registered = entrance
        .patiently(async || {
            let mut line: Line = entrance.greeted(seat, false).await?;
            line.ask(&entrance.pool, &request, &keyring).await
        })
        .await?;
    Ok(Account {
        username,
        auth: request.auth,
        account: registered.account,
        device: registered.device,
        token: registered.token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn account() -> Account {
        Account {
            username: "load-1".parse().unwrap(),
            auth: Secret32::new([7; 32]),
            account: AccountId([1; 16]),
            device: DeviceId([2; 16]),
            token: Secret::new("t".to_owned()),
        }
    }

    #[test]
    fn accounts_are_there_again_and_nobody_else_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::open(Some(folder.path()), "store:1").unwrap();
        book.accounts.push(account());
        book.save().unwrap();
        let file = folder.path().join("store-1.jsonl");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        drop(book);
        let book = Book::open(Some(&file), "store:1").unwrap();
        assert_eq!(book.accounts[0].auth, account().auth);
        assert_eq!(book.accounts[0].token, account().token);
    }

    #[test]
    fn two_runs_do_not_share_accounts() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Book::open(Some(folder.path()), "a").unwrap();
        let error = Book::open(Some(folder.path()), "a").unwrap_err();
        assert!(matches!(&error, Trouble::Usage(text) if text.contains("another run")), "{error}");
    }

    #[test]
    fn accounts_of_another_fleet_are_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("accounts");
        Book::open(Some(&file), "a").unwrap().save().unwrap();
        let error = Book::open(Some(&file), "b").unwrap_err();
        assert!(error.to_string().contains("another fleet"), "{error}");
    }
}
