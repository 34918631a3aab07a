//! OpenMLS, with its own RustCrypto provider and everything in memory.

use crate::mls::{CHARTER, Change, Failure, LIFETIME_S, Made, Mls, Opened, Processed, View};
use fastchat_e2e::{ConversationId, Credential, DeviceKey, mls::Charter};
use openmls::{
    prelude::tls_codec::Deserialize,
    prelude::{
        BasicCredential, Capabilities, Ciphersuite, CredentialType, CredentialWithKey, Extension, ExtensionType, Extensions, GroupContext,
        GroupId, KeyPackage, KeyPackageIn, LeafNodeIndex, LeafNodeParameters, Lifetime, MIXED_PLAINTEXT_WIRE_FORMAT_POLICY, MlsGroup,
        MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, OpenMlsProvider, ProcessedMessage,
        ProcessedMessageContent, ProtocolMessage, ProtocolVersion, RequiredCapabilitiesExtension, Sender, SignatureScheme, StagedWelcome,
        UnknownExtension,
    },
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::signatures::{Signer, SignerError};
use std::collections::HashMap;

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
/// It knows no steps: everything is padded to a multiple.
const PADDING: usize = 32;

/// A device's own key, as OpenMLS asks for signatures.
struct Hand(DeviceKey);

impl Signer for Hand {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign(payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// One device.
pub(crate) struct OpenMls {
    provider: OpenMlsRustCrypto,
    hand: Hand,
    credential: CredentialWithKey,
    groups: HashMap<ConversationId, MlsGroup>,
    /// Groups that this device comes into by itself, as they are after its commit.
    entering: HashMap<ConversationId, MlsGroup>,
}

impl OpenMls {
    pub(crate) fn begin(credential: &Credential, key: &DeviceKey) -> Self {
        Self {
            provider: OpenMlsRustCrypto::default(),
            hand: Hand(DeviceKey::from_seed(&key.seed())),
            credential: CredentialWithKey {
                credential: BasicCredential::new(credential.as_bytes().to_vec()).into(),
                signature_key: key.public().as_bytes().to_vec().into(),
            },
            groups: HashMap::new(),
            entering: HashMap::new(),
        }
    }

    fn group(&mut self, group: ConversationId) -> Result<&mut MlsGroup, Failure> {
        self.groups.get_mut(&group).ok_or_else(|| "no such group here".into())
    }

    fn processed(&mut self, group: ConversationId, message: &[u8]) -> Result<ProcessedMessage, Failure> {
        let message: ProtocolMessage = MlsMessageIn::tls_deserialize_exact(message)?.try_into_protocol_message()?;
        let live = self.groups.get_mut(&group).ok_or("no such group here")?;
        Ok(live.process_message(&self.provider, message)?)
    }
}

fn capabilities() -> Capabilities {
    Capabilities::builder()
        .versions(vec![ProtocolVersion::Mls10])
        .ciphersuites(vec![SUITE])
        .extensions(vec![ExtensionType::Unknown(CHARTER), ExtensionType::LastResort])
        .proposals(Vec::new())
        .credentials(vec![CredentialType::Basic])
        .build()
}

/// Trap: OpenMLS takes no change of the context's extensions that does not require them, by whomever it is made.
fn required() -> RequiredCapabilitiesExtension {
    RequiredCapabilitiesExtension::new(&[ExtensionType::Unknown(CHARTER)], &[], &[])
}

fn extensions(charter: &Charter) -> Result<Extensions<GroupContext>, Failure> {
    let charter = Extension::Unknown(CHARTER, UnknownExtension(charter.encode()?));
    Ok(Extensions::from_vec(vec![Extension::RequiredCapabilities(required()), charter])?)
}

/// Trap: by default OpenMLS takes handshakes only where they are sealed; ours are public, and messages never are.
fn configuration() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(MIXED_PLAINTEXT_WIRE_FORMAT_POLICY)
        .padding_size(PADDING)
        .use_ratchet_tree_extension(true)
        .build()
}

fn made((commit, welcome, info): (MlsMessageOut, Option<MlsMessageOut>, Option<MlsMessageOut>)) -> Result<Made, Failure> {
    Ok(Made {
        commit: commit.to_bytes()?,
        welcome: welcome.as_ref().map(MlsMessageOut::to_bytes).transpose()?,
        group_info: info.ok_or("OpenMLS made no GroupInfo")?.to_bytes()?,
    })
}

impl Mls for OpenMls {
    fn key_package(&mut self, last_resort: bool) -> Result<Vec<u8>, Failure> {
        let mut builder = KeyPackage::builder()
            .leaf_node_capabilities(capabilities())
            .key_package_lifetime(Lifetime::new(LIFETIME_S));
        if last_resort {
            builder = builder.mark_as_last_resort();
        }
        let bundle = builder.build(SUITE, &self.provider, &self.hand, self.credential.clone())?;
        Ok(MlsMessageOut::from(bundle.into_key_package()).to_bytes()?)
    }

    fn create(&mut self, group: ConversationId, charter: &Charter) -> Result<(), Failure> {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .wire_format_policy(MIXED_PLAINTEXT_WIRE_FORMAT_POLICY)
            .padding_size(PADDING)
            .use_ratchet_tree_extension(true)
            .lifetime(Lifetime::new(LIFETIME_S))
            .capabilities(capabilities())
            .with_group_context_extensions(extensions(charter)?)
            .build();
        let id = GroupId::from_slice(group.as_bytes());
        let made = MlsGroup::new_with_group_id(&self.provider, &self.hand, &config, id, self.credential.clone())?;
        self.groups.insert(group, made);
        Ok(())
    }

    fn commit(&mut self, group: ConversationId, change: &Change, authenticated: &[u8]) -> Result<Made, Failure> {
        let Self {
            provider, hand, groups, ..
        } = self;
        let live = groups.get_mut(&group).ok_or("no such group here")?;
        let mut packages = Vec::new();
        for package in &change.add {
            let MlsMessageBodyIn::KeyPackage(package) = MlsMessageIn::tls_deserialize_exact(package)?.extract() else {
                return Err("no key package".into());
            };
            packages.push(KeyPackageIn::validate(package, provider.crypto(), ProtocolVersion::Mls10)?);
        }
        live.set_aad(authenticated.to_vec());
        let mut builder = live
            .commit_builder()
            .propose_removals(change.remove.iter().copied().map(LeafNodeIndex::new))
            .propose_adds(packages)
            .force_self_update(true);
        if let Some(charter) = &change.charter {
            builder = builder.propose_group_context_extensions(extensions(charter)?)?;
        }
        let bundle = builder
            .load_psks(provider.storage())?
            .create_group_info(true)
            .use_ratchet_tree_extension(true)
            .build(provider.rand(), provider.crypto(), hand, |_| true)?
            .stage_commit(provider)?;
        made(bundle.into_messages())
    }

    fn enter(&mut self, group: ConversationId, group_info: &[u8], _: bool) -> Result<Made, Failure> {
        let MlsMessageBodyIn::GroupInfo(info) = MlsMessageIn::tls_deserialize_exact(group_info)?.extract() else {
            return Err("no GroupInfo".into());
        };
        let Self { provider, hand, .. } = self;
        let (entered, bundle) = MlsGroup::external_commit_builder()
            .with_config(configuration())
            .skip_lifetime_validation()
            .build_group(provider, info, self.credential.clone())?
            .leaf_node_parameters(LeafNodeParameters::builder().with_capabilities(capabilities()).build())
            .load_psks(provider.storage())?
            .create_group_info(true)
            .use_ratchet_tree_extension(true)
            .build(provider.rand(), provider.crypto(), hand, |_| true)?
            .finalize(provider)?;
        self.entering.insert(group, entered);
        made(bundle.into_messages())
    }

    fn apply(&mut self, group: ConversationId) -> Result<(), Failure> {
        if let Some(entered) = self.entering.remove(&group) {
            self.groups.insert(group, entered);
            return Ok(());
        }
        let live = self.groups.get_mut(&group).ok_or("no such group here")?;
        if live.pending_commit().is_none() {
            return Err("nothing to apply".into());
        }
        Ok(live.merge_pending_commit(&self.provider)?)
    }

    fn withdraw(&mut self, group: ConversationId) -> Result<(), Failure> {
        if self.entering.remove(&group).is_some() {
            return Ok(());
        }
        let live = self.groups.get_mut(&group).ok_or("no such group here")?;
        Ok(live.clear_pending_commit(self.provider.storage())?)
    }

    fn join(&mut self, group: ConversationId, welcome: &[u8]) -> Result<(), Failure> {
        let MlsMessageBodyIn::Welcome(welcome) = MlsMessageIn::tls_deserialize_exact(welcome)?.extract() else {
            return Err("no Welcome".into());
        };
        let joined = StagedWelcome::build_from_welcome(&self.provider, &configuration(), welcome)?
            .skip_lifetime_validation()
            .replace_old_group()
            .build()?
            .into_group(&self.provider)?;
        if joined.group_id().as_slice() != group.as_bytes() {
            return Err("the Welcome is for another group".into());
        }
        self.groups.insert(group, joined);
        Ok(())
    }

    fn process(&mut self, group: ConversationId, commit: &[u8]) -> Result<Processed, Failure> {
        let processed = self.processed(group, commit)?;
        let authenticated = processed.aad().to_vec();
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            return Err("no commit".into());
        };
        let out = staged.self_removed();
        let live = self.groups.get_mut(&group).ok_or("no such group here")?;
        live.merge_staged_commit(&self.provider, *staged)?;
        Ok(Processed { out, authenticated })
    }

    fn open(&mut self, group: ConversationId, message: &[u8]) -> Result<Opened, Failure> {
        let processed = self.processed(group, message)?;
        let authenticated = processed.aad().to_vec();
        let Sender::Member(sender) = *processed.sender() else {
            return Err("no member's message".into());
        };
        let ProcessedMessageContent::ApplicationMessage(opened) = processed.into_content() else {
            return Err("no message".into());
        };
        Ok(Opened {
            sender: sender.u32(),
            plaintext: opened.into_bytes(),
            authenticated,
        })
    }

    fn seal(&mut self, group: ConversationId, plaintext: &[u8], authenticated: &[u8]) -> Result<Vec<u8>, Failure> {
        let Self {
            provider, hand, groups, ..
        } = self;
        let live = groups.get_mut(&group).ok_or("no such group here")?;
        live.set_aad(authenticated.to_vec());
        Ok(live.create_message(provider, hand, plaintext)?.to_bytes()?)
    }

    fn view(&mut self, group: ConversationId) -> Result<View, Failure> {
        let live = self.group(group)?;
        let all: Vec<&Extension> = live.extensions().iter().collect();
        let [Extension::RequiredCapabilities(found), Extension::Unknown(CHARTER, charter)] = &all[..] else {
            return Err("the group's extensions are not exactly a charter and that it is required".into());
        };
        if *found != required() {
            return Err("the group requires something else than the charter".into());
        }
        let leaf = |member: openmls::prelude::Member| {
            let credential = BasicCredential::try_from(member.credential)?;
            Ok((member.index.u32(), Credential::verify(credential.identity())?))
        };
        Ok(View {
            epoch: live.epoch().as_u64(),
            charter: Charter::decode(&charter.0)?,
            leaves: live.members().map(leaf).collect::<Result<_, Failure>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_e2e::{AccountId, DeviceId, IdentityKey};

    const CHAT: ConversationId = ConversationId([7; 16]);

    fn device(name: &str) -> OpenMls {
        let (key, identity) = (DeviceKey::random(&mut rand::rng()), IdentityKey::random(&mut rand::rng()));
        let (account, device) = (AccountId(rand::random()), DeviceId(rand::random()));
        let credential = Credential::issue(&identity, account, name.parse().unwrap(), device, key.public(), 1);
        OpenMls::begin(&credential, &key)
    }

    fn two() -> [OpenMls; 2] {
        let [mut olga, mut otto] = [device("olga"), device("otto")];
        olga.create(CHAT, &Charter::direct()).unwrap();
        let add = vec![otto.key_package(false).unwrap()];
        let made = olga.commit(CHAT, &Change { add, ..Change::default() }, b"").unwrap();
        olga.apply(CHAT).unwrap();
        otto.join(CHAT, &made.welcome.unwrap()).unwrap();
        [olga, otto]
    }

    #[test]
    fn as_it_is_by_itself_it_takes_no_public_commit() {
        let [mut olga, mut otto] = two();
        let by_itself = MlsGroupJoinConfig::default();
        let OpenMls { provider, groups, .. } = &mut otto;
        let live = groups.get_mut(&CHAT).unwrap();
        live.set_configuration(provider.storage(), &by_itself).unwrap();
        let made = olga.commit(CHAT, &Change::default(), b"").unwrap();
        let refused = otto.process(CHAT, &made.commit).unwrap_err().to_string();
        assert!(refused.contains("wire format"), "{refused}");
        let OpenMls { provider, groups, .. } = &mut otto;
        let live = groups.get_mut(&CHAT).unwrap();
        live.set_configuration(provider.storage(), &configuration()).unwrap();
        assert!(!otto.process(CHAT, &made.commit).unwrap().out);
    }

    #[test]
    fn it_does_not_open_what_it_sealed_itself() {
        let [mut olga, mut otto] = two();
        let sealed = olga.seal(CHAT, b"hello", b"").unwrap();
        assert!(olga.open(CHAT, &sealed).is_err());
        assert_eq!(otto.open(CHAT, &sealed).unwrap().plaintext, b"hello");
    }

    #[test]
    fn nothing_is_applied_or_withdrawn_where_nothing_was_made() {
        let [mut olga, _] = two();
        assert!(olga.apply(CHAT).is_err());
        olga.commit(CHAT, &Change::default(), b"").unwrap();
        olga.withdraw(CHAT).unwrap();
        assert!(olga.apply(CHAT).is_err());
        assert!(olga.apply(ConversationId([8; 16])).is_err());
    }
}
