//! A member that keeps no rules: mls-rs without ours. Every honest member refuses what it does, and all go on.

use crate::world::*;
use fastchat_e2e::{
    AccountId, ConversationId, Credential, CredentialError, DeviceId, DeviceKey, EntryId,
    groups::{Cause, Error, Payload, What},
    log::{KIND_COMMIT, KIND_MESSAGE, KIND_WELCOME},
    mls::{
        Charter, CharterError, GroupError, Intent, Kind, LeafRefused, MemberDevice, Violation, extension::CHARTER_TYPE, provider::SUITE,
    },
};
use mls_rs::{
    Client, ExtensionList, Group, IdentityProvider, MlsMessage,
    client_builder::MlsConfig,
    group::CommitBuilder,
    identity::{CredentialType, SigningIdentity, basic::BasicCredential},
    mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions},
    time::MlsTime,
};
use mls_rs_core::{crypto::SignatureSecretKey, identity::MemberValidationContext};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use std::convert::Infallible;

/// Believes everybody.
#[derive(Clone, Copy)]
pub(super) struct Anybody;

impl IdentityProvider for Anybody {
    type Error = Infallible;
    fn validate_member(&self, _: &SigningIdentity, _: Option<MlsTime>, _: MemberValidationContext<'_>) -> Result<(), Infallible> {
        Ok(())
    }
    fn validate_external_sender(&self, _: &SigningIdentity, _: Option<MlsTime>, _: Option<&ExtensionList>) -> Result<(), Infallible> {
        Ok(())
    }
    fn identity(&self, identity: &SigningIdentity, _: &ExtensionList) -> Result<Vec<u8>, Infallible> {
        Ok(identity.signature_key.to_vec())
    }
    fn valid_successor(&self, _: &SigningIdentity, _: &SigningIdentity, _: &ExtensionList) -> Result<bool, Infallible> {
        Ok(true)
    }
    fn supported_types(&self) -> Vec<CredentialType> {
        vec![BasicCredential::credential_type()]
    }
}

pub(super) fn signing_identity(credential: &[u8], key: &DeviceKey) -> SigningIdentity {
    let basic = BasicCredential::new(credential.to_vec()).into_credential();
    SigningIdentity::new(basic, key.public().as_bytes().to_vec().into())
}

pub(super) fn secret(key: &DeviceKey) -> SignatureSecretKey {
    SignatureSecretKey::new(key.keypair().expose().to_vec())
}

fn lawless(credential: &[u8], key: &DeviceKey, private_handshakes: bool) -> Client<impl MlsConfig + use<>> {
    let rules = DefaultMlsRules::new()
        .with_commit_options(CommitOptions::new().with_allow_external_commit(true))
        .with_encryption_options(EncryptionOptions::new(private_handshakes, Default::default()));
    Client::builder()
        .crypto_provider(RustCryptoProvider::new())
        .identity_provider(Anybody)
        .mls_rules(rules)
        .extension_type(CHARTER_TYPE)
        .signing_identity(signing_identity(credential, key), secret(key), SUITE)
        .build()
}

pub(super) fn time() -> MlsTime {
    MlsTime::from_duration_since_epoch(NOW)
}

fn key_package(client: &Client<impl MlsConfig>) -> MlsMessage {
    client
        .generate_key_package_message(ExtensionList::new(), ExtensionList::new(), Some(time()))
        .unwrap()
}

/// A new device of somebody, without a store.
fn device(person: &Person) -> (Credential, DeviceKey) {
    let key = DeviceKey::random(&mut rand::rng());
    (person.credential(DeviceId(rand::random()), &key), key)
}

fn package_of(person: &Person) -> MlsMessage {
    let (credential, key) = device(person);
    key_package(&lawless(credential.as_bytes(), &key, false))
}

/// Alice (admin) and bob, who keep the rules, and mallory, who does not.
pub(super) struct Scene<C: MlsConfig> {
    pub(super) alice: Device,
    pub(super) bob: Device,
    pub(super) bob_person: Person,
    mallory: Person,
    pub(super) me: MemberDevice,
    pub(super) chat: ConversationId,
    pub(super) log: Log,
    pub(super) group: Group<C>,
}

fn scene(kind: Kind, admin: bool, private_handshakes: bool) -> Scene<impl MlsConfig> {
    scene_with(kind, admin, |credential, key| lawless(credential, key, private_handshakes))
}

/// The same with another client for mallory.
pub(super) fn scene_with<C: MlsConfig>(kind: Kind, admin: bool, client: impl FnOnce(&[u8], &DeviceKey) -> Client<C>) -> Scene<C> {
    let (bob_person, mallory) = (Person::new("bob"), Person::new("mallory"));
    let (credential, key) = device(&mallory);
    let client = client(credential.as_bytes(), &key);
    let (mut alice, mut bob) = (Device::new("alice"), Device::of(&bob_person));
    let (chat, mut log) = (ConversationId(rand::random()), Log::default());
    let packages = [bob.key_package(), key_package(&client).to_bytes().unwrap()];
    let mut invites = vec![invite(&bob, &packages[0])];
    let mallorys = fastchat_e2e::mls::Invite {
        account: mallory.account,
        key_package: &packages[1],
    };
    if kind == Kind::Direct {
        invites.clear();
    }
    invites.push(mallorys);
    alice
        .store
        .write(|tx| alice.groups.create(tx, chat, kind, invites, ids(), NOW))
        .unwrap();
    alice.send(&mut log);
    alice.sync(chat, &log);
    let welcome = &log.entries.iter().find(|entry| entry.kind == KIND_WELCOME).unwrap().block;
    let welcome = MlsMessage::from_bytes(welcome).unwrap();
    let (mut group, _) = client.join_group(None, &welcome, None).unwrap();
    if kind == Kind::Group {
        bob.sync(chat, &log);
    }
    if admin {
        let made = alice.commit(chat, &Intent::Appoint(vec![mallory.account])).unwrap();
        let Payload::Commit { commit, .. } = made.payload else {
            unreachable!()
        };
        group.process_incoming_message(MlsMessage::from_bytes(&commit).unwrap()).unwrap();
        alice.send(&mut log);
        alice.sync(chat, &log);
        bob.sync(chat, &log);
    }
    let subject = credential.subject();
    Scene {
        me: MemberDevice {
            account: subject.account,
            device: subject.device,
        },
        alice,
        bob,
        bob_person,
        mallory,
        chat,
        log,
        group,
    }
}

impl<C: MlsConfig> Scene<C> {
    fn charter(&self) -> Charter {
        Charter::from_extensions(self.group.context().extensions()).unwrap()
    }

    pub(super) fn index(&self, account: AccountId) -> u32 {
        let of = |identity: &SigningIdentity| {
            let credential = Credential::verify(identity.credential.as_basic().unwrap().identifier()).unwrap();
            credential.subject().account
        };
        let members = self.group.roster().members();
        members.iter().find(|member| of(&member.signing_identity) == account).unwrap().index
    }

    /// A commit by mallory, on the current epoch.
    fn commit(&self, build: impl FnOnce(CommitBuilder<'_, C>) -> CommitBuilder<'_, C>) -> Vec<u8> {
        let mut group = self.group.clone();
        let output = build(group.commit_builder().commit_time(time())).build().unwrap();
        output.commit_message.to_bytes().unwrap()
    }

    /// Puts a commit into the log; gives how each honest member refuses it, after showing that they go on.
    fn refused(&mut self, commit: Vec<u8>) -> [GroupError; 2] {
        let epoch = self.log.epoch;
        self.log
            .push(EntryId(rand::random()), KIND_COMMIT, Some(self.me), Some(epoch), commit);
        self.log.epoch += 1;
        let causes = [&mut self.alice, &mut self.bob].map(|device| {
            let mut got = device.sync(self.chat, &self.log);
            match got.remove(0).what {
                What::BadCommit { cause, .. } => cause,
                other => panic!("accepted: {other:?}"),
            }
        });
        self.alice.say(self.chat, "we go on");
        self.alice.send(&mut self.log);
        assert_eq!(texts(&self.bob.sync(self.chat, &self.log)), ["we go on"]);
        causes
    }

    fn violates(&mut self, commit: Vec<u8>, wanted: Violation) {
        for cause in self.refused(commit) {
            assert!(
                matches!(cause, GroupError::Rule(found) if found == wanted),
                "wanted {wanted:?}, found {cause:?}"
            );
        }
    }

    fn believed_by_nobody(&mut self, commit: Vec<u8>, wanted: LeafRefused) {
        for cause in self.refused(commit) {
            let found = match cause {
                GroupError::Leaf(found) | GroupError::Rule(Violation::Leaf(found)) => found,
                other => panic!("wanted {wanted:?}, found {other:?}"),
            };
            assert_eq!(found, wanted);
        }
    }
}

#[test]
fn a_plain_member_changes_neither_others_nor_the_charter() {
    let mut scene = scene(Kind::Group, false, false);
    let eve = package_of(&Person::new("eve"));
    let add = scene.commit(|commit| commit.add_member(eve).unwrap());
    scene.violates(add, Violation::NotAdmin);
    let bob = scene.index(scene.bob_person.account);
    let remove = scene.commit(|commit| commit.remove_member(bob).unwrap());
    scene.violates(remove, Violation::NotAdmin);
    let mut charter = scene.charter();
    charter.appoint(scene.mallory.account);
    let appoint = scene.commit(|commit| commit.set_group_context_ext(charter.to_extensions().unwrap()).unwrap());
    scene.violates(appoint, Violation::NotAdmin);
    let direct = Charter::direct().to_extensions().unwrap();
    let kind = scene.commit(|commit| commit.set_group_context_ext(direct).unwrap());
    scene.violates(kind, Violation::KindChanged);
    let bare = scene.commit(|commit| commit.set_group_context_ext(ExtensionList::new()).unwrap());
    scene.violates(bare, Violation::Charter(CharterError::Extensions));
    let reinit = scene.commit(|commit| {
        commit
            .reinit(None, mls_rs::ProtocolVersion::MLS_10, SUITE, ExtensionList::new())
            .unwrap()
    });
    scene.violates(reinit, Violation::Proposal);
}

#[test]
fn nobody_sends_away_anothers_device_nor_hides_an_own_one() {
    let mut scene = scene(Kind::Group, false, false);
    let mut charter = scene.charter();
    charter.send_away(scene.bob.me());
    let others = scene.commit(|commit| commit.set_group_context_ext(charter.to_extensions().unwrap()).unwrap());
    scene.violates(others, Violation::GoneList);
    // An own second device comes in, as the rules allow.
    let second = package_of(&scene.mallory);
    let output = scene
        .group
        .commit_builder()
        .commit_time(time())
        .add_member(second)
        .unwrap()
        .build()
        .unwrap();
    scene.group.apply_pending_commit().unwrap();
    let epoch = scene.log.epoch;
    scene.log.push(
        entry_id(),
        KIND_COMMIT,
        Some(scene.me),
        Some(epoch),
        output.commit_message.to_bytes().unwrap(),
    );
    scene.log.epoch += 1;
    let log = scene.log.clone();
    for device in [&mut scene.alice, &mut scene.bob] {
        assert!(matches!(device.sync(scene.chat, &log)[0].what, What::Commit { .. }));
    }
    let mine = scene.group.current_member_index();
    let members = scene.group.roster().members();
    let second = members.iter().map(|member| member.index).max().unwrap();
    assert_ne!(mine, second);
    let unlisted = scene.commit(|commit| commit.remove_member(second).unwrap());
    scene.violates(unlisted, Violation::GoneList);
}

#[test]
fn forged_credentials_foreign_identities_and_swapped_keys_are_refused() {
    let mut scene = scene(Kind::Group, false, false);
    // "A second device of bob's", vouched for by mallory.
    let false_bob = Person {
        account: scene.bob_person.account,
        name: "bob".to_owned(),
        identity: fastchat_e2e::IdentityKey::from_seed(&scene.mallory.identity.seed()),
    };
    let package = package_of(&false_bob);
    let foreign = scene.commit(|commit| commit.add_member(package).unwrap());
    scene.violates(foreign, Violation::ForeignIdentity);
    let (credential, key) = device(&scene.bob_person);
    let mut forged = credential.as_bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let package = key_package(&lawless(&forged, &key, false));
    let add = scene.commit(|commit| commit.add_member(package).unwrap());
    scene.believed_by_nobody(add, LeafRefused::Credential(CredentialError::Signature));
    // Bob's true credential over mallory's key.
    let other = DeviceKey::random(&mut rand::rng());
    let package = key_package(&lawless(credential.as_bytes(), &other, false));
    let add = scene.commit(|commit| commit.add_member(package).unwrap());
    scene.believed_by_nobody(add, LeafRefused::Key);
    // Mallory's own leaf, renewed as another device.
    let (credential, key) = device(&scene.mallory);
    let identity = signing_identity(credential.as_bytes(), &key);
    let renewed = scene.commit(|commit| commit.set_new_signing_identity(secret(&key), identity));
    scene.violates(renewed, Violation::Successor);
}

#[test]
fn a_device_stands_in_a_group_once() {
    let mut scene = scene(Kind::Group, false, false);
    let (credential, key) = device(&scene.mallory);
    let subject = credential.subject();
    let twin_key = DeviceKey::random(&mut rand::rng());
    let twin = scene.mallory.credential(subject.device, &twin_key);
    let packages =
        [(&credential, &key), (&twin, &twin_key)].map(|(credential, key)| key_package(&lawless(credential.as_bytes(), key, false)));
    let [one, other] = packages;
    let twice = scene.commit(|commit| commit.add_member(one).unwrap().add_member(other).unwrap());
    scene.violates(twice, Violation::Twice);
}

#[test]
fn an_admin_takes_whole_accounts_and_swaps_no_identity() {
    let mut scene = scene(Kind::Group, true, false);
    let phone = package_of(&scene.bob_person);
    let phone_bytes = phone.to_bytes().unwrap();
    let account = scene.bob_person.account;
    let invited = fastchat_e2e::mls::Invite {
        account,
        key_package: &phone_bytes,
    };
    let made = scene.bob.commit(scene.chat, &Intent::Add(vec![invited])).unwrap();
    let Payload::Commit { commit, .. } = made.payload else {
        unreachable!()
    };
    scene.bob.send(&mut scene.log);
    scene
        .group
        .process_incoming_message(MlsMessage::from_bytes(&commit).unwrap())
        .unwrap();
    scene.alice.sync(scene.chat, &scene.log);
    scene.bob.sync(scene.chat, &scene.log);
    let bob = scene.index(account);
    let part = scene.commit(|commit| commit.remove_member(bob).unwrap());
    scene.violates(part, Violation::PartOfAccount);
    let leaves: Vec<u32> = scene.group.roster().members().iter().map(|member| member.index).collect();
    let all_of_bob: Vec<u32> = leaves.into_iter().filter(|index| *index == bob || *index == 3).collect();
    let false_bob = Person {
        account,
        name: "bob".to_owned(),
        identity: fastchat_e2e::IdentityKey::random(&mut rand::rng()),
    };
    let package = package_of(&false_bob);
    let swapped = scene.commit(|commit| {
        let commit = all_of_bob
            .iter()
            .fold(commit, |commit, index| commit.remove_member(*index).unwrap());
        commit.add_member(package).unwrap()
    });
    // Out and in again in one commit is no way round the account's identity.
    scene.violates(swapped, Violation::PartOfAccount);
    let mut charter = scene.charter();
    charter.appoint(AccountId([9; 16]));
    let outside = scene.commit(|commit| commit.set_group_context_ext(charter.to_extensions().unwrap()).unwrap());
    scene.violates(outside, Violation::AdminOutside);
}

#[test]
fn a_direct_chat_stays_one_of_its_two() {
    let mut scene = scene(Kind::Direct, false, false);
    for build in [true, false] {
        let eve = package_of(&Person::new("eve"));
        let alice = scene.index(scene.alice.me().account);
        let commit = scene.commit(|commit| match build {
            true => commit.add_member(eve).unwrap(),
            false => commit.remove_member(alice).unwrap(),
        });
        let epoch = scene.log.epoch;
        scene.log.push(entry_id(), KIND_COMMIT, Some(scene.me), Some(epoch), commit);
        scene.log.epoch += 1;
        let got = scene.alice.sync(scene.chat, &scene.log);
        let last = &got.last().unwrap().what;
        assert!(
            matches!(
                last,
                What::BadCommit {
                    cause: GroupError::Rule(Violation::NotTwo),
                    ..
                }
            ),
            "{last:?}"
        );
    }
}

#[test]
fn handshakes_are_public_and_messages_private() {
    let mut scene = scene(Kind::Group, false, true);
    let hidden = scene.commit(|commit| commit);
    for cause in scene.refused(hidden.clone()) {
        assert!(matches!(cause, GroupError::Unexpected(_)), "{cause:?}");
    }
    scene.log.push(entry_id(), KIND_MESSAGE, Some(scene.me), None, hidden);
    let got = scene.bob.sync(scene.chat, &scene.log);
    assert!(matches!(
        got[0].what,
        What::Unreadable {
            cause: Cause::Group(GroupError::Unexpected(_))
        }
    ));
}

#[test]
fn only_a_device_of_a_member_joins_by_itself() {
    let mut scene = scene(Kind::Group, false, false);
    let made = scene.alice.commit(scene.chat, &Intent::Renew).unwrap();
    let Payload::Commit { group_info, .. } = made.payload else {
        unreachable!()
    };
    scene.alice.send(&mut scene.log);
    scene.alice.sync(scene.chat, &scene.log);
    scene.bob.sync(scene.chat, &scene.log);
    let info = MlsMessage::from_bytes(&group_info).unwrap();
    let join = |person: &Person| {
        let (credential, key) = device(person);
        let (_, commit) = lawless(credential.as_bytes(), &key, false).commit_external(info.clone()).unwrap();
        commit.to_bytes().unwrap()
    };
    scene.violates(join(&Person::new("eve")), Violation::Joiner);
    let false_bob = Person {
        account: scene.bob_person.account,
        name: "bob".to_owned(),
        identity: fastchat_e2e::IdentityKey::random(&mut rand::rng()),
    };
    scene.violates(join(&false_bob), Violation::ForeignIdentity);
    // Bob's true second device may.
    let commit = join(&scene.bob_person);
    let epoch = scene.log.epoch;
    scene.log.push(entry_id(), KIND_COMMIT, None, Some(epoch), commit);
    scene.log.epoch += 1;
    let got = scene.alice.sync(scene.chat, &scene.log);
    assert!(
        matches!(&got.last().unwrap().what, What::Commit { applied, .. } if applied.added.len() == 1),
        "{got:?}"
    );
}

#[test]
fn who_joins_by_itself_takes_nobodys_place_but_its_own_and_no_gone_device_returns() {
    let mut scene = scene(Kind::Group, false, false);
    let tablet = device(&scene.bob_person);
    let tablet_id = tablet.0.subject().device;
    // Bob's tablet comes in, as a client that keeps no rules.
    let info = |scene: &mut Scene<_>| {
        let made = scene.alice.commit(scene.chat, &Intent::Renew).unwrap();
        scene.alice.send(&mut scene.log);
        scene.alice.sync(scene.chat, &scene.log);
        scene.bob.sync(scene.chat, &scene.log);
        match made.payload {
            Payload::Commit { group_info, .. } => MlsMessage::from_bytes(&group_info).unwrap(),
            Payload::Message { .. } => unreachable!(),
        }
    };
    let join = |info: MlsMessage, instead_of: Option<u32>| {
        let client = lawless(tablet.0.as_bytes(), &tablet.1, false);
        let mut builder = client.external_commit_builder().unwrap();
        if let Some(index) = instead_of {
            builder = builder.with_removal(index);
        }
        builder.build(info).unwrap().1.to_bytes().unwrap()
    };
    for victim in [scene.alice.me().account, scene.bob_person.account] {
        let index = scene.index(victim);
        let commit = join(info(&mut scene), Some(index));
        scene.violates(commit, Violation::Joiner);
    }
    let commit = join(info(&mut scene), None);
    let epoch = scene.log.epoch;
    scene.log.push(entry_id(), KIND_COMMIT, None, Some(epoch), commit);
    scene.log.epoch += 1;
    scene.alice.sync(scene.chat, &scene.log);
    scene.bob.sync(scene.chat, &scene.log);
    // It is sent away, and comes again.
    scene.bob.commit(scene.chat, &Intent::SendAway(vec![tablet_id])).unwrap();
    scene.bob.send(&mut scene.log);
    scene.bob.sync(scene.chat, &scene.log);
    scene.alice.sync(scene.chat, &scene.log);
    let commit = join(info(&mut scene), None);
    scene.violates(commit, Violation::GoneReturns);
}

#[test]
fn an_invitation_into_a_lawless_group_is_declined() {
    let mallory = Person::new("mallory");
    let (credential, key) = device(&mallory);
    let client = lawless(credential.as_bytes(), &key, false);
    let chat = ConversationId(rand::random());
    let invited = |bob: &mut Device, charter: ExtensionList, id: ConversationId, with: Option<MlsMessage>| {
        let mut group = client
            .create_group_with_id(id.0.to_vec(), charter, ExtensionList::new(), Some(time()))
            .unwrap();
        let package = MlsMessage::from_bytes(&bob.key_package()).unwrap();
        let commit = group.commit_builder().commit_time(time()).add_member(package).unwrap();
        let commit = with.into_iter().fold(commit, |commit, package| commit.add_member(package).unwrap());
        let welcome = commit.build().unwrap().welcome_messages[0].to_bytes().unwrap();
        let entry = Stored {
            entry: entry_id(),
            kind: KIND_WELCOME,
            from: None,
            epoch: None,
            block: welcome,
        };
        bob.store.write(|tx| bob.groups.join(tx, chat, &entry.view(2), 0)).unwrap_err()
    };
    let mut bob = Device::new("bob");
    let direct = || Charter::direct().to_extensions().unwrap();
    let three = invited(&mut bob, direct(), chat, Some(package_of(&Person::new("eve"))));
    assert!(matches!(three, Error::Group(GroupError::Rule(Violation::NotTwo))), "{three:?}");
    let bare = invited(&mut bob, ExtensionList::new(), chat, None);
    assert!(
        matches!(bare, Error::Group(GroupError::Charter(CharterError::Extensions))),
        "{bare:?}"
    );
    let elsewhere = invited(&mut bob, direct(), ConversationId([9; 16]), None);
    assert!(matches!(elsewhere, Error::Group(GroupError::WrongConversation)), "{elsewhere:?}");
    let (forged, stranger) = device(&Person::new("eve"));
    let mut forged = forged.as_bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let leaf = key_package(&lawless(&forged, &stranger, false));
    let unsigned = invited(&mut bob, direct(), chat, Some(leaf));
    assert!(matches!(unsigned, Error::Group(GroupError::Leaf(_))), "{unsigned:?}");
    let packages = bob.store.read(|tx| bob.groups.conversations(tx)).unwrap();
    assert!(packages.is_empty());
}

#[test]
fn a_block_with_any_changed_byte_neither_opens_nor_stops_the_log() {
    let mut devices = [Device::new("alice"), Device::new("bob"), Device::new("carol")];
    let (chat, mut log) = conversation(Kind::Group, &mut devices[..2]);
    let [alice, bob, carol] = &mut devices;
    let package = carol.key_package();
    alice.say(chat, "a message");
    alice.send(&mut log);
    alice.commit(chat, &Intent::Add(vec![invite(carol, &package)])).unwrap();
    alice.send(&mut log);
    let from = bob.store.read(|tx| bob.groups.cursor(tx, chat)).unwrap();
    for seq in [from + 1, from + 2] {
        let stored = log.entries[seq as usize - 1].clone();
        for at in (0..stored.block.len()).step_by(5).chain([stored.block.len() - 1]) {
            let mut changed = stored.clone();
            changed.block[at] ^= 0x40;
            // Undone each time, so that each change meets the same state.
            let undone: Result<(), Error> = bob.store.write(|tx| {
                let got = bob.groups.receive(tx, chat, &changed.view(seq))?;
                // The tags at a commit's end are nobody's to see but the members': whoever has no good one comes in again.
                let is_tag = at + 2 * 33 >= stored.block.len();
                assert!(
                    match got[0].what {
                        What::Unreadable { .. } | What::BadCommit { .. } => true,
                        What::Stranded { .. } => is_tag,
                        _ => false,
                    },
                    "{seq}, byte {at}: {:?}",
                    got[0].what
                );
                Err(Error::Behind)
            });
            assert!(matches!(undone, Err(Error::Behind)), "{seq}, byte {at}: {undone:?}");
        }
        let got = bob.receive(chat, &stored.view(seq)).unwrap();
        assert!(matches!(got[0].what, What::Message { .. } | What::Commit { .. }));
    }
    let at = log.welcomed[&carol.me().device];
    let welcome = log.entries[at as usize - 1].clone();
    for byte in (0..welcome.block.len()).step_by(5) {
        let mut changed = welcome.clone();
        changed.block[byte] ^= 0x40;
        let declined = carol.store.write(|tx| carol.groups.join(tx, chat, &changed.view(at), 0));
        assert!(matches!(declined, Err(Error::Group(_))), "byte {byte}: {declined:?}");
    }
    carol.sync(chat, &log);
}
