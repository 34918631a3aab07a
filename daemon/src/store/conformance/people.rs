//! Somebody to test with.

use crate::store::{
    Store,
    accounts::{NewAccount, SessionId, TokenDigest},
    logs::{Actor, Create},
};
use bytes::Bytes;
use fastchat_wire::{
    AccountId, DeviceId, LogId, Username,
    chat::{
        auth_params::{AuthParameters, Kdf},
        create::ConversationKind,
    },
    encoding::Bytes64,
};
use std::sync::Arc;
use uuid::Uuid;

/// An account with one device and one session.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) session: SessionId,
    pub(crate) username: Username,
    pub(crate) token: TokenDigest,
    /// When it registered.
    pub(crate) at: u64,
}

impl Person {
    /// Who acts.
    pub(crate) fn actor(&self) -> Actor {
        Actor {
            account: self.account,
            device: self.device,
        }
    }
}

/// What registers a name.
pub(crate) fn new_account(username: &str) -> NewAccount {
    let mut token = [0; 32];
    token[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    NewAccount {
        account: Uuid::now_v7().into(),
        device: Uuid::now_v7().into(),
        session: SessionId(Uuid::now_v7().into_bytes()),
        username: username.parse().unwrap(),
        params: AuthParameters {
            salt: Bytes64(vec![1; 16]),
            kdf: Kdf::registration(),
        },
        auth_hash: "hash".to_owned(),
        recovery_hash: Some("recovery hash".to_owned()),
        device_name: "laptop".to_owned(),
        keyring: Bytes::from("keyring"),
        token,
        at: 1_700_000_000_000,
    }
}

/// Registers a name.
pub(crate) async fn register(store: &Arc<dyn Store>, username: &str) -> Person {
    let new = new_account(username);
    store.register(new.clone()).await.unwrap();
    Person {
        account: new.account,
        device: new.device,
        session: new.session,
        username: new.username,
        token: new.token,
        at: new.at,
    }
}

/// Creates a conversation.
pub(crate) async fn converse(store: &Arc<dyn Store>, creator: &Person, kind: ConversationKind, others: &[&Person]) -> LogId {
    let create = Create {
        conversation: Uuid::now_v7().into(),
        kind,
        actor: creator.actor(),
        members: others.iter().map(|person| person.account).collect(),
        member_entry: Uuid::now_v7().into(),
        at: creator.at,
    };
    store.create(create).await.unwrap().conversation
}
