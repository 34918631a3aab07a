//! What an MLS implementation does for one device: bytes in, bytes out, as they cross the wire.

use crate::{open_mls::OpenMls, ts_mls::TsMls};
use fastchat_e2e::{
    ConversationId, Credential, DeviceKey,
    mls::{Charter, rules::Leaf, rules::check_group},
};
use std::collections::BTreeMap;

/// The charter's extension type (E2E.md §3).
pub(crate) const CHARTER: u16 = 0xF0FC;
/// How long a key package is good, in seconds: as OpenMLS has it by default.
pub(crate) const LIFETIME_S: u64 = 84 * 86_400;

/// What went wrong, in the implementation's own words.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implementation {
    /// The Rust crate `openmls`.
    OpenMls,
    /// The npm package `ts-mls`.
    TsMls,
    /// The same with the GroupInfos that it makes by itself, which nobody else can join by.
    TsMlsUnmended,
}

impl Implementation {
    /// Sets one up for a device.
    ///
    /// # Errors
    /// Its parts are missing, with the line that installs them.
    pub fn begin(self, credential: &Credential, key: &DeviceKey) -> Result<Box<dyn Mls>, Failure> {
        Ok(match self {
            Self::OpenMls => Box::new(OpenMls::begin(credential, key)),
            Self::TsMls => Box::new(TsMls::begin(credential, key, true)?),
            Self::TsMlsUnmended => Box::new(TsMls::begin(credential, key, false)?),
        })
    }
}

/// What a commit is to do. Nothing of all: renew the own leaf.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Key packages of those who come.
    pub add: Vec<Vec<u8>>,
    /// Indexes of leaves that go.
    pub remove: Vec<u32>,
    /// The charter from now on, where it changes.
    pub charter: Option<Charter>,
}

/// A commit that was made and not applied.
#[derive(Debug, Clone)]
pub struct Made {
    /// For the log.
    pub commit: Vec<u8>,
    /// For those who join.
    pub welcome: Option<Vec<u8>>,
    /// For those who join by themselves later.
    pub group_info: Vec<u8>,
}

/// A commit of another device that was applied.
#[derive(Debug, Clone)]
pub struct Processed {
    /// Whether it removed this device.
    pub out: bool,
    /// Its sender's authenticated data.
    pub authenticated: Vec<u8>,
}

/// An opened application message.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Index of the leaf that sealed it.
    pub sender: u32,
    /// What was said.
    pub plaintext: Vec<u8>,
    /// The sender's authenticated data.
    pub authenticated: Vec<u8>,
}

/// A group as an implementation has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The MLS epoch.
    pub epoch: u64,
    /// What the group says about itself.
    pub charter: Charter,
    /// The credentials of all leaves, by their index.
    pub leaves: BTreeMap<u32, Credential>,
}

impl View {
    /// Whether it is one that the rules allow.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn check(&self) -> Result<(), Failure> {
        let leaves: Vec<Leaf> = self.leaves.values().map(|credential| credential.subject().into()).collect();
        Ok(check_group(leaves.iter(), &self.charter)?)
    }
}

/// What an implementation does for one device.
pub trait Mls: Send {
    /// A new key package, whose keys are kept.
    ///
    /// # Errors
    /// The implementation's.
    fn key_package(&mut self, last_resort: bool) -> Result<Vec<u8>, Failure>;

    /// A new group with this device alone in it.
    ///
    /// # Errors
    /// The implementation's.
    fn create(&mut self, group: ConversationId, charter: &Charter) -> Result<(), Failure>;

    /// Makes a commit. The group is as before until [`Mls::apply`].
    ///
    /// # Errors
    /// The implementation's.
    fn commit(&mut self, group: ConversationId, change: &Change, authenticated: &[u8]) -> Result<Made, Failure>;

    /// Makes the commit by which this device comes in by itself; `again`, where it takes its own old leaf's place. In
    /// from [`Mls::apply`] on.
    ///
    /// # Errors
    /// The implementation's.
    fn enter(&mut self, group: ConversationId, group_info: &[u8], again: bool) -> Result<Made, Failure>;

    /// The own commit stands in the log.
    ///
    /// # Errors
    /// There is none, and the implementation's.
    fn apply(&mut self, group: ConversationId) -> Result<(), Failure>;

    /// The own commit does not come to stand in the log.
    ///
    /// # Errors
    /// The implementation's.
    fn withdraw(&mut self, group: ConversationId) -> Result<(), Failure>;

    /// Joins by a Welcome.
    ///
    /// # Errors
    /// It is not for this device or for another group, and the implementation's.
    fn join(&mut self, group: ConversationId, welcome: &[u8]) -> Result<(), Failure>;

    /// Applies another device's commit.
    ///
    /// # Errors
    /// The implementation's.
    fn process(&mut self, group: ConversationId, commit: &[u8]) -> Result<Processed, Failure>;

    /// Opens another device's message.
    ///
    /// # Errors
    /// The implementation's.
    fn open(&mut self, group: ConversationId, message: &[u8]) -> Result<Opened, Failure>;

    /// Seals a message.
    ///
    /// # Errors
    /// The implementation's.
    fn seal(&mut self, group: ConversationId, plaintext: &[u8], authenticated: &[u8]) -> Result<Vec<u8>, Failure>;

    /// The group as it is.
    ///
    /// # Errors
    /// No such group, and what can't be read of it.
    fn view(&mut self, group: ConversationId) -> Result<View, Failure>;
}
