//! Groups on MLS (RFC 9420): who is in a conversation, and the keys that its members share.
//!
//! ```text
//!   provider   who a leaf is (its credential), what mls-rs reads and writes while it works
//!   extension  the charter: what the group says about itself, agreed on by all members
//!   rules      which commits a member accepts, from the group's own state alone
//!   engine     where groups come from: made, joined, or taken up again
//!   group      one operation on one group, in memory: bytes in, bytes and a new state out
//!   state      that state in parts, so that a message writes only what it turned
//!   observer   the same group without its secrets: what everybody can judge
//!   new_way    a way into it that is made of nothing else
//! ```
//!
//! Nothing here touches a disk: [`crate::groups`] loads the state, calls in, and writes
//! everything that changed in one transaction.

pub mod engine;
pub mod error;
pub mod extension;
pub mod group;
pub mod key_packages;
pub(crate) mod new_way;
pub(crate) mod observer;
pub mod provider;
pub mod rules;
pub(crate) mod state;

pub use engine::Engine;
pub use error::GroupError;
pub use extension::{Charter, CharterError, Kind, MemberDevice};
pub use group::{Applied, Intent, Invite, inspect_key_package};
pub use provider::LeafRefused;
pub use rules::{LEAVES_MAX, Violation};
