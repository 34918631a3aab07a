//! A device that runs another MLS implementation, on the network: blocking, as a test drives it.

mod follow;
mod send;

use crate::{
    mls::{Change, Failure, Implementation, Mls},
    room::{Believes, Room},
};
use bytes::Bytes;
use fastchat_client::{Config, Connection, Errand, chat, enter};
use fastchat_e2e::{
    AccountId, ConversationId, Credential, DeviceId, DeviceKey, EntryId, IdentityKey, IdentityPublicKey,
    content::{Body, Group},
    mls::{Charter, inspect_key_package},
};
use fastchat_wire::{
    Code, LogId, Secret32,
    chat::{
        auth_params::Kdf,
        commit::CommitLists,
        create::ConversationKind,
        keys_claim::KeysClaimLists,
        login::{Login, Method},
        register::Register,
    },
    encoding::Bytes64,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::runtime::Runtime;

/// One-time key packages that a device publishes.
const PACKAGES: usize = 20;
/// For anything to come.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// An account, with what only its owner knows.
struct Account {
    id: AccountId,
    name: String,
    identity: IdentityKey,
    auth: Secret32,
    balancer: String,
}

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Where.
    pub conversation: ConversationId,
    /// Whose leaf sealed it.
    pub from: String,
    /// What.
    pub text: String,
}

/// What a change means to the server.
#[derive(Debug, Clone, Default)]
struct Plan {
    change: Change,
    lists: CommitLists,
    /// Accounts that are told how the log stands.
    tell: Vec<AccountId>,
}

/// One device. Dropped, its connection ends.
pub struct Device {
    account: Arc<Account>,
    device: DeviceId,
    mls: Box<dyn Mls>,
    rooms: BTreeMap<ConversationId, Room>,
    /// Own entries by id, until they are read in their logs.
    own: HashMap<EntryId, Own>,
    said: Vec<Said>,
    inbox: u64,
    connection: Connection,
    // Dropped last: the connection lives on it.
    runtime: Runtime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    Message,
    Commit,
}

impl Device {
    /// Registers a new account with its first device.
    ///
    /// # Errors
    /// The fleet, and the implementation's parts are missing.
    pub fn register(balancer: &str, name: &str, implementation: Implementation) -> Result<Self, Failure> {
        let runtime = runtime()?;
        let auth = Secret32::new(rand::random());
        let register = Register {
            username: name.parse()?,
            salt: Bytes64(rand::random::<[u8; 16]>().to_vec()),
            kdf: Kdf::registration(),
            auth: auth.clone(),
            recovery_auth: None,
            device_name: format!("{implementation:?}"),
        };
        let (connection, registered) = runtime.block_on(async {
            let connection = enter(&Config::new(balancer)?, Errand::default()).await?.connection;
            // Nobody signs in to this account with the program: its keyring is never opened.
            let registered = chat::register(&connection, &register, Bytes::from_static(b"no keyring")).await?;
            Ok::<_, Failure>((connection, registered))
        })?;
        let account = Arc::new(Account {
            id: AccountId(registered.account.0),
            name: name.to_owned(),
            identity: IdentityKey::random(&mut rand::rng()),
            auth,
            balancer: balancer.to_owned(),
        });
        Self::begin(runtime, connection, account, DeviceId(registered.device.0), implementation)
    }

    /// Signs in on another device of the account.
    ///
    /// # Errors
    /// As [`Device::register`].
    pub fn another(&self, implementation: Implementation) -> Result<Self, Failure> {
        let runtime = runtime()?;
        let account = Arc::clone(&self.account);
        let login = Login {
            username: account.name.parse()?,
            auth: account.auth.clone(),
            method: Method::Password,
            device: None,
            new_device: None,
            device_name: Some(format!("another, {implementation:?}")),
        };
        let (connection, signed_in) = runtime.block_on(async {
            let connection = enter(&Config::new(&account.balancer)?, Errand::default()).await?.connection;
            let (signed_in, _keyring) = chat::login(&connection, &login).await?;
            Ok::<_, Failure>((connection, signed_in))
        })?;
        Self::begin(runtime, connection, account, DeviceId(signed_in.device.0), implementation)
    }

    fn begin(
        runtime: Runtime,
        connection: Connection,
        account: Arc<Account>,
        device: DeviceId,
        implementation: Implementation,
    ) -> Result<Self, Failure> {
        let key = DeviceKey::random(&mut rand::rng());
        let credential = Credential::issue(
            &account.identity,
            account.id,
            account.name.parse()?,
            device,
            key.public(),
            now_ms()?,
        );
        let mut mls = implementation.begin(&credential, &key)?;
        let packages = (0..PACKAGES).map(|_| Ok(mls.key_package(false)?.into()));
        let packages = packages.collect::<Result<Vec<Bytes>, Failure>>()?;
        let last_resort = [Bytes::from(mls.key_package(true)?)];
        runtime.block_on(async {
            let identity = account.identity.public().as_bytes().to_vec();
            chat::set_credential(&connection, identity, credential.as_bytes().to_vec()).await?;
            chat::keys_publish(&connection, &packages, false).await?;
            chat::keys_publish(&connection, &last_resort, true).await
        })?;
        Ok(Self {
            account,
            device,
            mls,
            rooms: BTreeMap::new(),
            own: HashMap::new(),
            said: Vec::new(),
            inbox: 0,
            connection,
            runtime,
        })
    }

    /// Founds a direct chat with somebody.
    ///
    /// # Errors
    /// It is founded already; the network; the implementation.
    pub fn found_direct(&mut self, name: &str) -> Result<ConversationId, Failure> {
        let (peer, _) = self.lookup(name)?;
        let wanted = LogId(new_id());
        let create = chat::create(&self.connection, wanted, ConversationKind::Direct, vec![wire_account(peer)]);
        let conversation = ConversationId(self.runtime.block_on(create)?.conversation.0);
        let founded = self.runtime.block_on(chat::group_info(&self.connection, LogId(conversation.0)));
        if founded.as_ref().err().and_then(fastchat_client::Failure::code) != Some(Code::NotFound) {
            return Err(format!("somebody else has founded it: {founded:?}").into());
        }
        self.found(conversation, &Charter::direct(), &[name])?;
        Ok(conversation)
    }

    /// Founds a group with a name and its first members.
    ///
    /// # Errors
    /// The network; the implementation.
    pub fn found_group(&mut self, title: &str, names: &[&str]) -> Result<ConversationId, Failure> {
        let conversation = ConversationId(new_id());
        let create = chat::create(&self.connection, LogId(conversation.0), ConversationKind::Group, Vec::new());
        self.runtime.block_on(create)?;
        self.found(conversation, &Charter::group(self.account.id), names)?;
        let settings = Group {
            name: Some(title.to_owned()),
            ..Group::default()
        };
        self.send(conversation, Body::Group(settings))?;
        Ok(conversation)
    }

    fn found(&mut self, conversation: ConversationId, charter: &Charter, names: &[&str]) -> Result<(), Failure> {
        self.mls.create(conversation, charter)?;
        self.rooms.insert(conversation, Room::founded(conversation));
        self.add(conversation, names)
    }

    /// Adds all devices of these accounts.
    ///
    /// # Errors
    /// The network; the implementation; nobody of that name; another identity than the directory's.
    pub fn add(&mut self, conversation: ConversationId, names: &[&str]) -> Result<(), Failure> {
        let mut identities = BTreeMap::new();
        for name in names {
            let (account, identity) = self.lookup(name)?;
            identities.insert(account, identity);
        }
        let lists = KeysClaimLists {
            accounts: identities.keys().copied().map(wire_account).collect(),
            devices: Vec::new(),
        };
        let claimed = self.runtime.block_on(chat::keys_claim(&self.connection, &lists))?;
        let mut plan = Plan {
            tell: identities.keys().copied().collect(),
            ..Plan::default()
        };
        for (device, package) in claimed {
            let subject = inspect_key_package(&package)?.subject().clone();
            if identities.get(&subject.account) != Some(&subject.identity_key) || subject.device.0 != device.0 {
                return Err(format!("a key package of {subject:?} for device {device}").into());
            }
            plan.change.add.push(package.to_vec());
            plan.lists.welcome_to.push(device);
        }
        let is_direct = self.mls.view(conversation)?.charter.kind == fastchat_e2e::mls::Kind::Direct;
        if !is_direct {
            plan.lists.add = plan.tell.iter().copied().map(wire_account).collect();
        }
        self.commit(conversation, |_| Ok(plan.clone()))
    }

    /// Removes an account with all its devices.
    ///
    /// # Errors
    /// The network; the implementation; nobody of that name is in.
    pub fn remove(&mut self, conversation: ConversationId, name: &str) -> Result<(), Failure> {
        let (account, _) = self.lookup(name)?;
        self.commit(conversation, |view| {
            let leaves = view.leaves.iter().filter(|(_, leaf)| leaf.subject().account == account);
            let mut charter = view.charter.clone();
            charter.admins.retain(|admin| *admin != account);
            Ok(Plan {
                change: Change {
                    remove: leaves.map(|(index, _)| *index).collect(),
                    charter: (charter != view.charter).then_some(charter),
                    ..Change::default()
                },
                lists: CommitLists {
                    remove: vec![wire_account(account)],
                    ..CommitLists::default()
                },
                ..Plan::default()
            })
        })
    }

    /// Renews its own leaf's keys.
    ///
    /// # Errors
    /// The network; the implementation.
    pub fn renew(&mut self, conversation: ConversationId) -> Result<(), Failure> {
        self.commit(conversation, |_| Ok(Plan::default()))
    }

    /// Comes into a conversation of its account by itself.
    ///
    /// # Errors
    /// The network; the implementation; a group that breaks the rules.
    pub fn come_in(&mut self, conversation: ConversationId) -> Result<(), Failure> {
        loop {
            let asked = chat::group_info(&self.connection, LogId(conversation.0));
            let (epoch, group_info) = self.runtime.block_on(asked)?;
            let made = self.mls.enter(conversation, &group_info, false)?;
            let Some(seq) = self.send_commit(conversation, epoch, made, CommitLists::default())? else {
                self.mls.withdraw(conversation)?;
                continue;
            };
            // The room begins behind it: it is not read.
            self.own.clear();
            self.mls.apply(conversation)?;
            self.mls.view(conversation)?.check()?;
            self.rooms
                .insert(conversation, Room::joined(conversation, seq, epoch + 1, Believes::Anybody));
            return self.follow();
        }
    }

    /// Says something.
    ///
    /// # Errors
    /// The network; the implementation.
    pub fn say(&mut self, conversation: ConversationId, text: &str) -> Result<(), Failure> {
        self.send(conversation, Body::text(text))
    }

    /// Waits for so many texts of others; gives those that were not given before, in their order.
    ///
    /// # Errors
    /// They don't come; the network; the implementation.
    pub fn hears(&mut self, count: usize) -> Result<Vec<Said>, Failure> {
        self.wait(&format!("{count} messages"), |device| {
            Ok((device.said.len() >= count).then(|| std::mem::take(&mut device.said)))
        })
    }

    /// Waits until a conversation has these members, by name, one for each of their devices.
    ///
    /// # Errors
    /// They don't come; the network; the implementation.
    pub fn sees_members(&mut self, conversation: ConversationId, names: &[&str]) -> Result<(), Failure> {
        self.wait(&format!("the members {names:?}"), |device| {
            Ok((device.members(conversation)? == names).then_some(()))
        })
    }

    /// Waits until this device is out of a conversation.
    ///
    /// # Errors
    /// It stays; the network; the implementation.
    pub fn sees_itself_out(&mut self, conversation: ConversationId) -> Result<(), Failure> {
        self.wait("the own removal", |device| {
            Ok((!device.rooms.contains_key(&conversation)).then_some(()))
        })
    }

    /// Who is in, by name, one for each of their devices, sorted.
    ///
    /// # Errors
    /// No such group.
    pub fn members(&mut self, conversation: ConversationId) -> Result<Vec<String>, Failure> {
        let view = self.mls.view(conversation)?;
        let mut names: Vec<_> = view.leaves.values().map(|leaf| leaf.subject().username.to_string()).collect();
        names.sort();
        Ok(names)
    }

    /// Whether it knows the log's head by now, as those do who were there when it began.
    #[must_use]
    pub fn has_head(&self, conversation: ConversationId) -> bool {
        self.rooms.get(&conversation).is_some_and(Room::has_head)
    }

    fn wait<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Result<Option<T>, Failure>) -> Result<T, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.follow()?;
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            if Instant::now() > deadline {
                return Err(format!("@{} waited {PATIENCE:?} for {what}; so far: {:?}", self.account.name, self.said).into());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    fn lookup(&self, name: &str) -> Result<(AccountId, IdentityPublicKey), Failure> {
        let found = self.runtime.block_on(chat::lookup(&self.connection, name.parse()?))?;
        let identity = found.identity.ok_or("an account without an identity")?;
        let mut devices = BTreeSet::new();
        for device in &found.devices {
            if let Some(credential) = &device.credential {
                devices.insert(Credential::verify(&credential.0)?.subject().identity_key);
            }
        }
        let identity = IdentityPublicKey::try_from(&identity.0[..])?;
        if devices.iter().any(|signed| *signed != identity) {
            return Err(format!("@{name} has devices of another identity").into());
        }
        Ok((AccountId(found.account.0), identity))
    }
}

fn runtime() -> Result<Runtime, Failure> {
    // With a thread of its own: the connection answers pings while the test does something else.
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

fn wire_account(account: AccountId) -> fastchat_wire::AccountId {
    fastchat_wire::AccountId(account.0)
}

fn new_id() -> [u8; 16] {
    uuid::Uuid::now_v7().into_bytes()
}

fn now_ms() -> Result<u64, Failure> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}
