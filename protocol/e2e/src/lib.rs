//! End-to-end encryption of FastChat: what only clients know.
//!
//! ```text
//!  password ─ Argon2id ─> stretched ─ HKDF ─┬─> auth            to the server
//!                                           └─> wrap ───────┐
//!  recovery code ─────────────────── HKDF ─┬─> recovery-auth   to the server
//!                                          └─> recovery-wrap ┤
//!                                                            v
//!                                             master key (sealed twice)
//!                                                            │ opens
//!                                                            v
//!                          keyring { identity seed, backup seeds by generation }
//!                                      │
//!                                      │ signs
//!                                      v
//!  device key ──────────────────> credential of an MLS leaf
//!  device storage key ──────────> every value of the local store
//! ```
//!
//! The specification is `protocol/E2E.md`; this crate knows no socket, no
//! clock and no server, and `fastchatd` does not link it. What is derived is a
//! function of its arguments; where something is drawn at random, the caller
//! passes the generator. Values that are secret live in the types of
//! [`secret`]: wiped on drop, `[redacted]` in `Debug`, never serialised.
//!
//! What the modules promise:
//!
//! - [`password`]: work factors below those of registration are refused; a [`Kdf`] that exists is fit to use.
//! - [`recovery`]: a typing error is caught; case, spaces and look-alikes do not matter.
//! - [`keyring`]: an older keyring, another account's, or one under weaker work factors does not open.
//! - [`safety`]: two people who know the same two identities under the same names see the same digits, and nobody else does.
//! - [`credential`]: a [`Credential`] that exists is verified; what was signed is what was carried.
//! - [`archive`]: a batch that opens was written by a device of the account's; one that is missing is missed.
//! - [`mod@file`]: a truncated, reordered, extended or changed file does not open; memory is bounded; no key seals two files.
//! - [`head`]: a head names all entries before it, their order and their kinds.
//! - [`content`]: a message names the entry that carried it; unknown types are kept; `Debug` and errors quote nothing.
//! - [`mls`]: all honest members accept the same commits, from the group's own state alone.
//! - [`groups`]: state, outbox, cursor and head are one change; what is sealed goes out once; a lie of the server about the log raises an alarm.
//! - [`signal`]: each is opened once, in the epoch that it was sealed in.
//! - [`store`]: what was written is durable, whole and sealed; what was deleted is overwritten; another version is refused.

pub mod archive;
pub mod backup;
pub mod content;
pub mod credential;
pub mod device;
pub mod file;
pub mod groups;
pub mod head;
pub mod id;
pub mod identity;
pub mod keyring;
pub mod log;
pub mod mls;
pub mod password;
pub mod recovery;
pub mod safety;
mod seal;
pub mod secret;
pub mod signal;
pub mod store;
pub mod username;

pub use backup::BackupPublicKey;
pub use content::{Content, ContentError};
pub use credential::{Credential, CredentialError, Subject};
pub use device::{DeviceKey, DevicePublicKey};
pub use file::{FileError, SealedFile, open_file, seal_file};
pub use head::{HeadError, LogHead};
pub use id::{AccountId, BlobId, ConversationId, DeviceId, EntryId};
pub use identity::{IdentityKey, IdentityPublicKey};
pub use keyring::{Keyring, KeyringError};
pub use password::{Kdf, KdfError};
pub use recovery::{RecoveryCode, RecoveryCodeError};
pub use safety::SafetyNumber;
pub use store::{Store, StoreError};
pub use username::Username;
