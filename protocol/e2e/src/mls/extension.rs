//! The charter: GroupContext extension 0xF0FC, what a group says about itself.
//!
//! ```text
//!  u8 1 ‖ u8 kind (1 direct, 2 group)
//!       ‖ u16 number ‖ admins, account 16 each
//!       ‖ u16 number ‖ gone devices, account 16 ‖ device 16 each
//! ```
//!
//! Both lists are in strictly ascending order and nothing follows, so that one
//! charter has one encoding. A direct chat has no admins; a group has at least one.
//! A gone device is named with its account: an account can only send its own
//! devices away, never one that another account uses.
//!
//! In front of it stands `required_capabilities`, which names it and nothing else: no leaf comes in that does not
//! know charters, whatever implementation added it.

use crate::id::{AccountId, DeviceId};
use mls_rs::{Extension, ExtensionList, extension::ExtensionType};

/// The extension's type, in every leaf's capabilities.
pub const CHARTER_TYPE: ExtensionType = ExtensionType::new(0xF0FC);
/// Most admins of a group.
pub const ADMINS_MAX: usize = 1024;
/// Most gone devices of a group.
pub const GONE_MAX: usize = 8192;

const VERSION: u8 = 1;
/// `required_capabilities` (RFC 9420 §11.1): the charter's type, no proposals, no credentials.
const REQUIRED: [u8; 5] = [2, 0xF0, 0xFC, 0, 0];

/// What sort of conversation a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Exactly two accounts, for good.
    Direct,
    /// Any number of accounts; admins decide who.
    Group,
}

/// A device together with its account: one possible leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberDevice {
    /// The account.
    pub account: AccountId,
    /// One of its devices.
    pub device: DeviceId,
}

/// What a group says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charter {
    /// Never changes.
    pub kind: Kind,
    /// Who adds and removes other accounts, ascending. Empty in a direct chat.
    pub admins: Vec<AccountId>,
    /// Devices that their account sent away, ascending. They never return.
    pub gone: Vec<MemberDevice>,
}

/// Why bytes are no charter. The group was made or changed by a faulty client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CharterError {
    /// Of a later version.
    #[error("the group's charter has version {0}; this client knows version 1: update it")]
    Version(u8),
    /// Cut off, or something follows.
    #[error("the group's charter has the wrong length; leave this conversation and start another")]
    Length,
    /// Neither direct nor group.
    #[error("the group's charter has the unknown kind {0}; update this client")]
    Kind(u8),
    /// A list is not in strictly ascending order, or too long.
    #[error("the group's charter has a list that is out of order or too long; leave this conversation and start another")]
    List,
    /// A direct chat with admins, or a group without.
    #[error("the group's charter has the wrong number of admins; leave this conversation and start another")]
    Admins,
    /// The group has no charter, does not require it, or has another extension beside it.
    #[error("the group's extensions are not exactly one charter and that it is required; leave this conversation and start another")]
    Extensions,
}

impl Charter {
    /// The charter of a new direct chat.
    #[must_use]
    pub fn direct() -> Self {
        Self {
            kind: Kind::Direct,
            admins: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// The charter of a new group.
    #[must_use]
    pub fn group(founder: AccountId) -> Self {
        Self {
            kind: Kind::Group,
            admins: vec![founder],
            gone: Vec::new(),
        }
    }

    /// Whether an account may add and remove others.
    #[must_use]
    pub fn is_admin(&self, account: AccountId) -> bool {
        self.admins.binary_search(&account).is_ok()
    }

    /// Whether a device was sent away.
    #[must_use]
    pub fn is_gone(&self, leaf: MemberDevice) -> bool {
        self.gone.binary_search(&leaf).is_ok()
    }

    /// Makes an account an admin; twice is once.
    pub fn appoint(&mut self, account: AccountId) {
        if let Err(at) = self.admins.binary_search(&account) {
            self.admins.insert(at, account);
        }
    }

    /// Puts a device on the gone list; twice is once.
    pub fn send_away(&mut self, leaf: MemberDevice) {
        if let Err(at) = self.gone.binary_search(&leaf) {
            self.gone.insert(at, leaf);
        }
    }

    /// The only encoding of this charter.
    ///
    /// # Errors
    /// [`CharterError`]: what [`Charter::decode`] would refuse.
    pub fn encode(&self) -> Result<Vec<u8>, CharterError> {
        self.check()?;
        let count = |n: usize| u16::try_from(n).map(u16::to_be_bytes).map_err(|_| CharterError::List);
        let mut bytes = vec![VERSION, if self.kind == Kind::Direct { 1 } else { 2 }];
        bytes.extend(count(self.admins.len())?);
        bytes.extend(self.admins.iter().flat_map(|account| account.0));
        bytes.extend(count(self.gone.len())?);
        bytes.extend(self.gone.iter().flat_map(|leaf| leaf.account.0.into_iter().chain(leaf.device.0)));
        Ok(bytes)
    }

    /// Reads one, strictly.
    ///
    /// # Errors
    /// [`CharterError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CharterError> {
        let mut rest = bytes;
        let [version, kind] = take(&mut rest)?;
        if version != VERSION {
            return Err(CharterError::Version(version));
        }
        let kind = match kind {
            1 => Kind::Direct,
            2 => Kind::Group,
            other => return Err(CharterError::Kind(other)),
        };
        let admins = list(&mut rest, |rest| take(rest).map(AccountId))?;
        let gone = list(&mut rest, |rest| {
            Ok(MemberDevice {
                account: AccountId(take(rest)?),
                device: DeviceId(take(rest)?),
            })
        })?;
        if !rest.is_empty() {
            return Err(CharterError::Length);
        }
        let charter = Self { kind, admins, gone };
        charter.check()?;
        Ok(charter)
    }

    /// As the group context's extensions: that it is required, and this one.
    ///
    /// # Errors
    /// As [`Charter::encode`].
    pub fn to_extensions(&self) -> Result<ExtensionList, CharterError> {
        let required = Extension::new(ExtensionType::REQUIRED_CAPABILITIES, REQUIRED.to_vec());
        Ok(vec![required, Extension::new(CHARTER_TYPE, self.encode()?)].into())
    }

    /// From the group context's extensions, which must be those of [`Charter::to_extensions`] and no others.
    ///
    /// # Errors
    /// [`CharterError`].
    pub fn from_extensions(extensions: &ExtensionList) -> Result<Self, CharterError> {
        match extensions.as_slice() {
            [required, charter]
                if required.extension_type == ExtensionType::REQUIRED_CAPABILITIES
                    && required.extension_data == REQUIRED
                    && charter.extension_type == CHARTER_TYPE =>
            {
                Self::decode(&charter.extension_data)
            }
            _ => Err(CharterError::Extensions),
        }
    }

    fn check(&self) -> Result<(), CharterError> {
        let ascending = self.admins.is_sorted_by(|a, b| a < b) && self.gone.is_sorted_by(|a, b| a < b);
        if !ascending || self.admins.len() > ADMINS_MAX || self.gone.len() > GONE_MAX {
            return Err(CharterError::List);
        }
        match (self.kind, self.admins.is_empty()) {
            (Kind::Direct, true) | (Kind::Group, false) => Ok(()),
            _ => Err(CharterError::Admins),
        }
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], CharterError> {
    let (head, rest) = bytes.split_first_chunk().ok_or(CharterError::Length)?;
    *bytes = rest;
    Ok(*head)
}

fn list<T>(bytes: &mut &[u8], item: impl Fn(&mut &[u8]) -> Result<T, CharterError>) -> Result<Vec<T>, CharterError> {
    let count = u16::from_be_bytes(take(bytes)?);
    (0..count).map(|_| item(bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mls_rs::{
        extension::{MlsExtension, built_in::RequiredCapabilitiesExt},
        group::proposal::ProposalType,
    };

    fn sample() -> Charter {
        let mut charter = Charter::group(AccountId([2; 16]));
        charter.appoint(AccountId([1; 16]));
        charter.appoint(AccountId([2; 16]));
        charter.send_away(MemberDevice {
            account: AccountId([2; 16]),
            device: DeviceId([9; 16]),
        });
        charter
    }

    #[test]
    fn a_charter_reads_back_as_itself() {
        for charter in [sample(), Charter::direct(), Charter::group(AccountId([7; 16]))] {
            assert_eq!(Charter::decode(&charter.encode().unwrap()), Ok(charter.clone()));
            assert_eq!(Charter::from_extensions(&charter.to_extensions().unwrap()), Ok(charter));
        }
    }

    #[test]
    fn every_prefix_and_every_longer_text_is_refused() {
        let bytes = sample().encode().unwrap();
        for length in 0..bytes.len() {
            assert_eq!(Charter::decode(&bytes[..length]), Err(CharterError::Length), "{length}");
        }
        assert_eq!(Charter::decode(&[&bytes[..], &[0]].concat()), Err(CharterError::Length));
    }

    #[test]
    fn lists_out_of_order_and_wrong_numbers_of_admins_are_refused() {
        let mut charter = sample();
        charter.admins.reverse();
        assert_eq!(charter.encode(), Err(CharterError::List));
        let mut bytes = sample().encode().unwrap();
        bytes.swap(4, 20);
        assert_eq!(Charter::decode(&bytes), Err(CharterError::List));
        let direct_with_admin = [&[1, 1, 0, 1][..], &[1; 16], &[0, 0]].concat();
        assert_eq!(Charter::decode(&direct_with_admin), Err(CharterError::Admins));
        assert_eq!(Charter::decode(&[1, 2, 0, 0, 0, 0]), Err(CharterError::Admins));
        assert_eq!(Charter::decode(&[2, 2, 0, 0, 0, 0]), Err(CharterError::Version(2)));
        assert_eq!(Charter::decode(&[1, 3, 0, 0, 0, 0]), Err(CharterError::Kind(3)));
    }

    #[test]
    fn the_charter_is_required_and_nothing_else() {
        let required = RequiredCapabilitiesExt::new(vec![CHARTER_TYPE], vec![], vec![]);
        let extensions = sample().to_extensions().unwrap();
        assert_eq!(extensions.get_as().unwrap(), Some(required));
        let [first, charter] = extensions.as_slice() else {
            panic!("two extensions: {extensions:?}");
        };
        let more = RequiredCapabilitiesExt::new(vec![CHARTER_TYPE], vec![ProposalType::ADD], vec![]);
        let others: [Vec<Extension>; 5] = [
            vec![],
            vec![charter.clone()],
            vec![charter.clone(), first.clone()],
            vec![first.clone(), charter.clone(), Extension::new(ExtensionType::new(0xF0FD), vec![])],
            vec![more.into_extension().unwrap(), charter.clone()],
        ];
        for other in others {
            assert_eq!(Charter::from_extensions(&other.into()), Err(CharterError::Extensions));
        }
    }
}
