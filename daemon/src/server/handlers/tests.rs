//! Handlers over a real store in a folder of its own: what a client would notice.

mod blobs;
mod devices;
mod keys;
mod sign_in;

use super::{Answer, Call, Refusal};
use crate::{
    fleet_key::FleetKey,
    server::{
        blobs::{BlobMeasures, Blobs, Objects},
        context::{Context, Identity},
        news::{Announcer, News},
        password::Passwords,
    },
    store::{Store, sqlite::SqliteStore},
};
use fastchat_wire::{
    Block, Code, Deframer, Frame, FrameLimits, LogId, Request, Secret, Secret32,
    chat::{
        auth_params::Kdf,
        create::ConversationKind,
        login::{LoggedIn, Login, Method},
        register::{Register, Registered},
        resume::{Resume, Resumed},
    },
    control::BlobPolicy,
    encode_request,
    encoding::Bytes64,
};
use std::{num::NonZeroUsize, sync::Arc};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

/// What handlers run in.
struct World {
    context: Context,
    news: mpsc::Receiver<News>,
    database: fastchat_schema::Database,
    _folder: tempfile::TempDir,
}

/// Somebody who is signed in.
struct Person {
    identity: Identity,
    token: Secret,
}

fn frame(bytes: &[u8]) -> Frame {
    let mut deframer = Deframer::new(FrameLimits::DEFAULT);
    deframer.push(bytes);
    deframer.next().unwrap().unwrap()
}

/// A request as a connection would hand it over.
fn call<R: Request>(request: &R, block: &Block) -> Call {
    Call {
        id: 7,
        frame: frame(&encode_request(7, request, block).unwrap()),
    }
}

/// The response's header and block.
fn response<R: Request>(_request: &R, answer: &Answer) -> (R::Response, Frame) {
    assert_eq!(answer.len(), 1);
    let frame = frame(&answer[0]);
    assert_eq!(frame.failure(), None);
    (frame.parse().unwrap(), frame)
}

fn code<T>(result: Result<T, Refusal>) -> Code {
    match result {
        Err(refusal) => refusal.error.code,
        Ok(_) => panic!("expected a refusal"),
    }
}

fn registration(username: &str) -> Register {
    Register {
        username: username.parse().unwrap(),
        salt: Bytes64(vec![3; 16]),
        kdf: Kdf::registration(),
        auth: Secret32::new([1; 32]),
        recovery_auth: Some(Secret32::new([2; 32])),
        device_name: "laptop".to_owned(),
    }
}

fn login(username: &str, auth: u8) -> Login {
    Login {
        username: username.parse().unwrap(),
        auth: Secret32::new([auth; 32]),
        method: Method::Password,
        device: None,
        new_device: None,
        device_name: None,
    }
}

impl World {
    async fn new() -> Self {
        Self::with(BlobPolicy::default()).await
    }

    async fn with(policy: BlobPolicy) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("fastchat.db").display());
        fastchat_schema::migrate(&url).await.unwrap();
        let database = fastchat_schema::Database::open(&url).await.unwrap();
        let store = Arc::new(SqliteStore::new(database.clone()));
        let (announcer, news) = Announcer::new();
        let context = Context {
            name: "s1".to_owned(),
            store_id: store.store_id().await.unwrap(),
            store,
            blobs: Blobs {
                objects: Objects::open(folder.path().join("blobs").to_str().unwrap()).unwrap(),
                policy: watch::Sender::new(policy).subscribe(),
                measures: BlobMeasures::register(&prometheus::Registry::new()).unwrap(),
            },
            passwords: Passwords::new(NonZeroUsize::new(2).unwrap()).unwrap(),
            fleet_key: FleetKey::new(Secret32::new([5; 32])),
            announcer,
        };
        Self {
            context,
            news,
            database,
            _folder: folder,
        }
    }

    async fn register(&self, username: &str) -> Person {
        let request = registration(username);
        let (identity, answer) = super::register::handle(&self.context, &call(&request, &Block::binary("keyring")))
            .await
            .unwrap();
        let (Registered { account, device, token }, _) = response(&request, &answer);
        assert_eq!((account, device), (identity.account, identity.device));
        Person { identity, token }
    }

    async fn login(&self, request: &Login) -> Result<(Identity, LoggedIn, Frame), Refusal> {
        let (identity, answer) = super::login::handle(&self.context, &call(request, &Block::none())).await?;
        let (logged_in, frame) = response(request, &answer);
        Ok((identity, logged_in, frame))
    }

    async fn resume(&self, token: &Secret) -> Result<(Identity, Resumed), Refusal> {
        let request = Resume { token: token.clone() };
        let (identity, answer) = super::resume::handle(&self.context, &call(&request, &Block::none())).await?;
        Ok((identity, response(&request, &answer).0))
    }

    async fn converse(&self, kind: ConversationKind, creator: &Person, others: &[&Person]) -> LogId {
        let create = crate::store::logs::Create {
            conversation: Uuid::now_v7().into(),
            kind,
            actor: creator.actor(),
            members: others.iter().map(|p| p.identity.account).collect(),
            member_entry: Uuid::now_v7().into(),
            at: 1,
        };
        self.context.store.create(create).await.unwrap().conversation
    }

    /// What an operator will do.
    async fn lock(&self, person: &Person) {
        let mut tx = self.database.write().await.unwrap();
        sqlx::query("UPDATE accounts SET locked = 1 WHERE id = ?")
            .bind(person.identity.account.as_bytes().as_slice())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// All that was told so far.
    fn news(&mut self) -> Vec<News> {
        std::iter::from_fn(|| self.news.try_recv().ok()).collect()
    }
}

impl Person {
    fn actor(&self) -> crate::store::logs::Actor {
        crate::store::logs::Actor {
            account: self.identity.account,
            device: self.identity.device,
        }
    }
}

/// Runs a signed-in handler: `run!(keys_count, world, person, KeysCount {}, block)`.
macro_rules! run {
    ($verb:ident, $world:expr, $person:expr, $request:expr) => {
        run!($verb, $world, $person, $request, fastchat_wire::Block::none())
    };
    ($verb:ident, $world:expr, $person:expr, $request:expr, $block:expr) => {{
        let request = $request;
        crate::server::handlers::$verb::handle(&$world.context, &$person.identity, &super::call(&request, &$block))
            .await
            .map(|answer| super::response(&request, &answer))
    }};
}
use run;
