//! A way into a group that a member makes who has none of its secrets any more: the last one, where there is no other.
//!
//! Whoever comes in by the log comes in by a GroupInfo, and that one is made by whoever committed last. Where its author
//! has broken the secrets and the GroupInfo, nobody else could go on. But all that a GroupInfo has is public, up to the
//! key by which a joiner gives its share of the next epoch's secrets: a member can make one with a key of its own. By
//! the public side its commit is as good as any other. Nobody else can apply it; they come in by the GroupInfo after it,
//! which is what their log leads to.

use super::{error::GroupError, extension::MemberDevice, observer::Observer, provider::SUITE, rules::leaves};
use mls_rs::{
    CipherSuiteProvider, CryptoProvider, ExtensionList,
    error::{IntoAnyError, MlsError},
    extension::built_in::{ExternalPubExt, RatchetTreeExt},
    mls_rs_codec::MlsEncode,
};
use mls_rs_core::crypto::SignatureSecretKey;
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use sha2::{Digest, Sha256};

/// MLS 1.0, and a GroupInfo in it.
const MESSAGE: [u8; 4] = [0, 1, 0, 4];
/// RFC 9420, 12.4.3: what its signature is over.
const LABEL: &[u8] = b"MLS 1.0 GroupInfoTBS";
/// A hash of the suite, with its length in front.
const HASH: usize = 33;

/// A GroupInfo of what an observer sees, signed by a member, with a key that nobody has.
pub(crate) fn group_info(observer: &Observer, me: MemberDevice, signer: &SignatureSecretKey) -> Result<Vec<u8>, GroupError> {
    let group = &observer.0;
    let suite = RustCryptoProvider::new().cipher_suite_provider(SUITE).ok_or(unsupported())?;
    let failed = |error: <<RustCryptoProvider as CryptoProvider>::CipherSuiteProvider as CipherSuiteProvider>::Error| {
        GroupError::Internal(MlsError::CryptoProviderError(error.into_any_error()))
    };
    // The secret key is not kept: what is sealed to it opens for nobody.
    let (_, external_pub) = suite.kem_generate().map_err(failed)?;
    let mut extensions = ExtensionList::new();
    let set = extensions.set_from(ExternalPubExt { external_pub });
    set.map_err(|error| GroupError::Internal(error.into()))?;
    let tree_data = group.exported_tree();
    let set = extensions.set_from(RatchetTreeExt {
        tree_data: tree_data.into_owned(),
    });
    set.map_err(|error| GroupError::Internal(error.into()))?;
    let members = leaves(&group.roster())?;
    let (signer_leaf, _) = members.iter().find(|(_, leaf)| leaf.who == me).ok_or(GroupError::NoMember)?;

    let to_be_signed = [
        encoded(group.group_context())?,
        encoded(&extensions)?,
        encoded(&confirmation_tag(observer)?)?,
        signer_leaf.to_be_bytes().to_vec(),
    ]
    .concat();
    let signed = [encoded(&LABEL.to_vec())?, encoded(&to_be_signed)?].concat();
    let signature = suite.sign(signer, &signed).map_err(failed)?;
    Ok([MESSAGE.to_vec(), to_be_signed, encoded(&signature)?].concat())
}

/// The tag of the last commit. It stands at the end of what an observer stores, after the hash that it goes into.
fn confirmation_tag(observer: &Observer) -> Result<Vec<u8>, GroupError> {
    let stored = observer.to_bytes()?;
    let confirmed = observer.0.transcript_hash();
    for length in 0..stored.len() {
        let (before, tag) = stored.split_at(stored.len() - length);
        let encoded = encoded(&tag.to_vec())?;
        let prefix = &encoded[..encoded.len() - length];
        // No group is to be initialised again: one byte says so.
        let Some(hash) = before.strip_suffix(prefix).and_then(|before| before.strip_suffix(&[0])) else {
            continue;
        };
        let interim = Sha256::new().chain_update(confirmed).chain_update(&encoded).finalize();
        if hash.len() >= HASH && hash[hash.len() - HASH + 1..] == interim[..] {
            return Ok(tag.to_vec());
        }
    }
    Err(GroupError::Internal(MlsError::InvalidGroupInfo))
}

fn encoded(value: &impl MlsEncode) -> Result<Vec<u8>, GroupError> {
    value.mls_encode_to_vec().map_err(|error| GroupError::Internal(error.into()))
}

fn unsupported() -> GroupError {
    GroupError::Internal(MlsError::UnsupportedCipherSuite(SUITE))
}
