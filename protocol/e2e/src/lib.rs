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
//! - [`credential`]: a [`Credential`] that exists is verified; what was signed is what was carried.

pub mod content;
pub mod credential;
pub mod device;
pub mod groups;
pub mod head;
pub mod id;
pub mod identity;
pub mod log;
pub mod mls;
mod seal;
pub mod secret;
pub mod store;
pub mod username;

pub use credential::{Credential, CredentialError, Subject};
pub use device::{DeviceKey, DevicePublicKey};
pub use id::{AccountId, BlobId, ConversationId, DeviceId, EntryId};
pub use identity::{IdentityKey, IdentityPublicKey};
pub use username::Username;
