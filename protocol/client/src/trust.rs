//! Whom this device believes to be who they say: pins, safety numbers, and what is refused where they fail.
//!
//! ```text
//!  first met ──> pinned ──compared over another channel──> verified
//!                  │ ^                                        │
//!      differs: a  │ └──────────── accepted ─────────┐        │
//!      claim       v                                 │        │
//!               distrusted: nothing is sent in that conversation  <── differs
//! ```
//!
//! A pin is the identity and the name with which this device met an account first. Pins are compared after a commit
//! was applied, and with what the fleet says of somebody met in a group. What differs is a *claim*: it is told in the
//! conversation, and nothing is sealed there until a person has accepted it, or whoever makes it is out.

use fastchat_e2e::{AccountId, ConversationId, SafetyNumber, Username};
use serde::{Deserialize, Serialize};
use std::fmt;

/// In which way somebody is not who this device knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The account has another identity than when it was met.
    IdentityChanged,
    /// The account calls itself otherwise than when it was met.
    Renamed,
    /// The account calls itself what this device knows another account by.
    NameTaken,
    /// The fleet knows the account otherwise, or not at all.
    Doubted,
}

/// Why nothing is sent, or somebody is not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Distrust {
    /// Where; none where it is no conversation yet.
    pub conversation: Option<ConversationId>,
    /// Who.
    pub account: AccountId,
    /// What they call themselves.
    pub username: Username,
    /// In which way they are not who this device knows.
    pub why: Why,
}

/// For people: what happened, and what to do.
impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.username;
        match self.why {
            Why::IdentityChanged => write!(
                f,
                "@{name} has another identity than when you first met: somebody may stand between you."
            ),
            Why::Renamed => write!(f, "somebody whom you know by another name now goes by @{name}."),
            Why::NameTaken => write!(
                f,
                "another account than the one that you know goes by @{name}: somebody may pretend to be @{name}."
            ),
            Why::Doubted => write!(
                f,
                "somebody goes by @{name}, and the fleet knows no such person with that identity: somebody may pretend to be @{name}."
            ),
        }?;
        write!(
            f,
            " Nothing is sent here until you accept that: compare the digits of `fastchat verify @{name}` with @{name} over another \
             channel, and only where they are the same run `fastchat verify @{name} --accept`"
        )
    }
}

/// Somebody whom this device knows by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The account.
    pub account: AccountId,
    /// What both sides compare.
    pub number: SafetyNumber,
    /// A person has compared it.
    pub verified: bool,
}

/// What is claimed and was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// By whom.
    pub account: AccountId,
    /// What they call themselves.
    pub username: Username,
    /// In which way that differs from what this device knows.
    pub why: Why,
    /// What both sides compare, were it true.
    pub number: SafetyNumber,
    /// It stops a conversation; otherwise it was only offered, and turned down.
    pub stops: bool,
}

/// What a name stands for on this device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whom it is known for.
    pub known: Option<Known>,
    /// Who else claims it, or what else is claimed of them.
    pub claims: Vec<Claim>,
}
