//! Members of FastChat's conversations that run another MLS implementation: for tests of what E2E.md §8 promises.
//!
//! ```text
//!   device    one device on the network: registers, publishes, claims, commits, follows its logs
//!     │ room      one conversation as it follows it: numbers, heads, whom a joiner believes. Pure
//!     v
//!   mls       what an implementation does for a device: bytes in, bytes out
//!     ├ open_mls  OpenMLS, in this process
//!     └ ts_mls    ts-mls, in a node process: `ts-mls/member.mjs`
//! ```
//!
//! Nothing of mls-rs is used for such a device. It has real credentials, charters, contents and heads, because those
//! are FastChat's own and no implementation's: they come from `fastchat-e2e`. It speaks to servers through the verbs
//! of `fastchat-client`. It keeps the group's rules in what it does, and after each change holds the whole group
//! against them, by the tree and the charter as its own implementation has them.

mod device;
mod mls;
mod open_mls;
mod room;
mod ts_mls;

pub use device::{Device, Said};
pub use mls::{Change, Failure, Implementation, Made, Mls, Opened, Processed, View};
