//! Somebody who has another's account, name and device, and an identity of their own.

use super::lawless;
use bytes::Bytes;
use fastchat_e2e::{Credential, DeviceKey, IdentityKey, Store, groups::Groups};
use fastchat_wire::encoding::Bytes64;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// A false device.
pub(super) struct Impostor {
    _folder: tempfile::TempDir,
    store: Store,
    groups: Groups,
    credential: Credential,
    key: DeviceKey,
    pub(super) device: String,
}

impl Impostor {
    /// Of what `register` or `login` said of somebody; their own device, or one that they don't have.
    pub(super) fn of(registered: &Value, device: Option<&str>) -> Self {
        let text = |key: &str| registered[key].as_str().expect("registered").to_owned();
        let device = device.map_or_else(|| text("device"), str::to_owned);
        let key = DeviceKey::random(&mut rand::rng());
        let credential = Credential::issue(
            &IdentityKey::random(&mut rand::rng()),
            text("account").parse().expect("an account's id"),
            text("username").parse().expect("a username"),
            device.parse().expect("a device's id"),
            key.public(),
            1,
        );
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            store: Store::create(folder.path()).expect("a store"),
            _folder: folder,
            groups: Groups::new(&credential, &key).expect("its own credential"),
            credential,
            key,
            device,
        }
    }

    /// As the directory has it.
    pub(super) fn identity(&self) -> Value {
        json!(Bytes64(self.credential.subject().identity_key.as_bytes().to_vec()))
    }

    /// As the directory has it.
    pub(super) fn credential(&self) -> Value {
        json!(Bytes64(self.credential.as_bytes().to_vec()))
    }

    /// Its way into a conversation by itself, with what the server keeps for those who may.
    pub(super) fn external_commit(&self, group_info: &[u8]) -> Bytes {
        lawless::external_commit(self.credential.as_bytes(), &self.key, group_info)
    }

    /// An answer to a claim of key packages: its own, for its device.
    pub(super) fn claimed(&mut self) -> Vec<Bytes> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let Self { store, groups, .. } = self;
        let made = store.write(|tx| groups.make_key_packages(tx, 1, false, now));
        let package = made.expect("a key package").remove(0);
        vec![json!([self.device]).to_string().into(), package.into()]
    }
}
