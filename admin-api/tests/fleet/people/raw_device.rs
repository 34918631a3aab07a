//! Somebody who writes raw frames, through the relays: in the clear, or as a
//! person's device, with its password and without its MLS keys.

use super::{
    super::client::{Client, append, assign, new_id},
    People,
    person::Person,
};
use bytes::Bytes;
use fastchat_e2e::{Kdf, archive::KIND_RECORD, password, secret::Password};
use fastchat_wire::{
    Block, LogId, Secret32,
    chat::{
        append::Append, assign::Assign, auth_params::AuthParams, commit::Commit, conversations::Conversations, create::ConversationKind,
        entry::EntryEvent, group_info::GroupInfo, login::Login,
    },
};

/// A raw connection of an account's own device.
pub(super) struct RawDevice<'a> {
    people: &'a People,
    client: Client,
}

impl<'a> RawDevice<'a> {
    /// Signs in on a device of the person's by the password.
    pub(super) fn of(people: &'a People, person: &Person, device: &str) -> Self {
        let client = people.runtime.block_on(async {
            let mut client = greeted(people).await;
            let login = Login {
                device: Some(device.parse().expect("a device's id")),
                ..login(&mut client, person).await
            };
            client.ask(&login).await.expect("the password is right");
            client
                .ask(&Conversations { after: None, limit: 1 })
                .await
                .expect("ready for pushes");
            client
        });
        Self { people, client }
    }

    /// Appends a block as a message.
    pub(super) fn append(&mut self, log: &str, block: &[u8]) -> u64 {
        let request = append(log_of(log), new_id());
        let block = Block::binary(block.to_vec());
        let appended = self.people.runtime.block_on(self.client.call(&request, &block));
        appended.expect("members append").0.seq
    }

    /// Appends a block to the account's archive, whoever made it.
    pub(super) fn archives(&mut self, account: &str, block: &[u8]) {
        let log = LogId::archive_of(account.parse().expect("an account's id"));
        let request = Append {
            kind: KIND_RECORD.to_owned(),
            ..append(log, new_id())
        };
        let appended = self
            .people
            .runtime
            .block_on(self.client.call(&request, &Block::binary(block.to_vec())));
        appended.expect("devices archive");
    }

    /// The epoch of a conversation, by the server's count.
    pub(super) fn epoch(&mut self, log: &str) -> u64 {
        let request = GroupInfo { conversation: log_of(log) };
        let answered = self.people.runtime.block_on(self.client.call(&request, &Block::none()));
        answered.expect("members ask for it").0.epoch
    }

    /// Commits whatever that is: lists, commit, Welcome, GroupInfo.
    pub(super) fn commit(&mut self, request: &Commit, pieces: &[&[u8]; 4]) {
        let committed = self.people.runtime.block_on(self.client.call(request, &Block::pieces(pieces)));
        committed.expect("members commit");
    }

    /// What the server keeps for those who join by themselves.
    pub(super) fn group_info(&mut self, log: &str) -> Bytes {
        let request = GroupInfo { conversation: log_of(log) };
        let answered = self.people.runtime.block_on(self.client.call(&request, &Block::none()));
        answered.expect("members ask for it").1.block
    }

    /// The whole log as the server has it.
    pub(super) fn log(&mut self, log: &str) -> Vec<(EntryEvent, Bytes)> {
        self.people.runtime.block_on(self.client.whole(log_of(log))).expect("members read")
    }
}

/// Signs in as so many new devices of the person's, by the password; none of them has keys.
pub(super) fn signs_in_on_new_devices(people: &People, person: &Person, count: usize) {
    people.runtime.block_on(async {
        let login = login(&mut greeted(people).await, person).await;
        for n in 0..count {
            let device_name = Some(format!("device {n}"));
            let login = Login {
                device_name,
                ..login.clone()
            };
            greeted(people).await.ask(&login).await.expect("the password is right");
        }
    });
}

/// How somebody signs in on a new device, by the password.
async fn login(client: &mut Client, person: &Person) -> Login {
    let username = person.name.parse().expect("a username");
    let parameters = client.ask(&AuthParams { username }).await.expect("parameters");
    let salt = parameters.salt.0.try_into().expect("16 bytes");
    let stretched = password::stretch(&Password::new(person.password.clone()), &salt, Kdf::REGISTRATION).expect("memory");
    Login {
        username: person.name.parse().expect("a username"),
        auth: Secret32::new(*stretched.auth().expose()),
        method: Default::default(),
        device: None,
        new_device: None,
        device_name: None,
    }
}

/// Registers a raw name, and says something in a group of its own, in the clear.
pub(super) fn says_in_the_clear(people: &People, name: &str, text: &str) {
    people.runtime.block_on(async {
        let mut client = greeted(people).await;
        client.register(name).await.expect("a new name");
        let group = client.create(ConversationKind::Group, &[]).await.expect("a group");
        client.append(group, text).await.expect("a member appends");
    });
}

async fn greeted(people: &People) -> Client {
    let assigned = assign(people.wire.balancer(), &Assign::default()).await.expect("a server");
    let address = assigned.address.expect("an address");
    Client::greeted(&address, Some(assigned.ticket)).await.expect("a server greets")
}

fn log_of(text: &str) -> LogId {
    text.parse().expect("a conversation's id")
}
