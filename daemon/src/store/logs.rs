//! Logs: append-only, numbered 1, 2, 3 … without holes; and who belongs to them.

use super::{Denied, Result};
use async_trait::async_trait;
use bytes::Bytes;
use fastchat_wire::{
    AccountId, DeviceId, EntryId, LogId,
    chat::{
        conversations::{Conversation, LogBounds},
        create::ConversationKind,
        members::{Member, Role},
    },
};
use std::sync::Arc;

/// An entry to append. What it must be is in [`LogStore::append`].
#[derive(Debug, Clone)]
pub(crate) struct Append {
    pub(crate) log: LogId,
    pub(crate) entry: EntryId,
    pub(crate) kind: Arc<str>,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    /// Refused unless current, where one is given.
    pub(crate) epoch: Option<u64>,
    /// ms since the Unix epoch.
    pub(crate) at: u64,
    pub(crate) block: Bytes,
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) seq: u64,
    pub(crate) at: u64,
    /// It stood there already.
    pub(crate) duplicate: bool,
    /// Seq of the log's last membership change at that time.
    pub(crate) members_seq: u64,
}

/// An entry as it stands in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) log: LogId,
    pub(crate) seq: u64,
    pub(crate) at: u64,
    pub(crate) kind: Arc<str>,
    pub(crate) entry: EntryId,
    /// Absent on the server's notices.
    pub(crate) from: Option<AccountId>,
    /// Absent on the server's notices.
    pub(crate) device: Option<DeviceId>,
    pub(crate) epoch: Option<u64>,
    pub(crate) block: Bytes,
    /// A Welcome's devices; others get its hash in place of its block.
    pub(crate) welcome_to: Arc<[DeviceId]>,
}

/// An entry that was just written, with the roster version that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) entry: Entry,
    /// Seq of the log's last membership change at that time.
    pub(crate) members_seq: u64,
}

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Actor {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
}

/// An MLS commit with what follows from it.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) conversation: LogId,
    pub(crate) actor: Actor,
    pub(crate) entry: EntryId,
    pub(crate) welcome_entry: Option<EntryId>,
    /// The epoch that it leaves.
    pub(crate) epoch: u64,
    pub(crate) add: Vec<AccountId>,
    pub(crate) remove: Vec<AccountId>,
    pub(crate) welcome_to: Vec<DeviceId>,
    pub(crate) commit: Bytes,
    pub(crate) welcome: Bytes,
    pub(crate) group_info: Bytes,
    /// Ids for the server's own `member` entry and inbox notices: one, then one for each welcomed device.
    pub(crate) server_entries: Vec<EntryId>,
    /// ms since the Unix epoch.
    pub(crate) at: u64,
}

/// What a commit came to.
#[derive(Debug, Clone)]
pub(crate) struct Committed {
    /// Where the `commit` entry stands.
    pub(crate) appended: Appended,
    /// Everything that was written, in order of writing: commit, welcome, notices, member. Empty for a duplicate.
    /// All of the conversation's carry the new roster's version, which says of each who reads it.
    pub(crate) written: Vec<Written>,
}

impl Committed {
    /// The commit stands already; nothing was written now.
    pub(in crate::store) fn again(seq: u64, at: u64, members_seq: u64) -> Self {
        Self {
            appended: Appended {
                seq,
                at,
                duplicate: true,
                members_seq,
            },
            written: Vec::new(),
        }
    }
}

/// A new conversation.
#[derive(Debug, Clone)]
pub(crate) struct Create {
    pub(crate) conversation: LogId,
    pub(crate) kind: ConversationKind,
    pub(crate) actor: Actor,
    /// The others, the creator not among them, each once.
    pub(crate) members: Vec<AccountId>,
    /// Id of the first `member` entry.
    pub(crate) member_entry: EntryId,
    /// ms since the Unix epoch.
    pub(crate) at: u64,
}

impl Create {
    /// The two accounts of a direct conversation, the smaller id first.
    pub(crate) fn pair(&self) -> Option<(AccountId, AccountId)> {
        match (self.kind, self.members.as_slice()) {
            (ConversationKind::Direct, &[other]) => {
                let one = self.actor.account;
                Some((one.min(other), one.max(other)))
            }
            _ => None,
        }
    }
}

/// What a creation came to.
#[derive(Debug, Clone)]
pub(crate) struct Created {
    /// The new one, or the direct one that exists.
    pub(crate) conversation: LogId,
    pub(crate) created: bool,
    /// The first `member` entry.
    pub(crate) written: Vec<Written>,
}

/// A page of a log.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    /// The first number that the reader may have.
    pub(crate) first_seq: u64,
    /// The last one.
    pub(crate) last_seq: u64,
    pub(crate) more: bool,
}

/// Who gets a log's pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Roster {
    pub(crate) log: LogId,
    /// Its version: the seq of the last membership change.
    pub(crate) members_seq: u64,
    /// Set for an inbox: only this device.
    pub(crate) only_device: Option<DeviceId>,
    /// A direct conversation, whose two members are told of each other's presence.
    pub(crate) is_direct: bool,
    /// Members, and former ones with the number through which they may read.
    pub(crate) members: Vec<RosterMember>,
}

/// One account in a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RosterMember {
    pub(crate) account: AccountId,
    /// The first entry that it may read.
    pub(crate) from_seq: u64,
    /// The last one, where it is a member no more.
    pub(crate) through_seq: Option<u64>,
}

impl RosterMember {
    /// True where the account may read that entry.
    pub(crate) fn reads(&self, seq: u64) -> bool {
        self.from_seq <= seq && self.through_seq.is_none_or(|through| seq <= through)
    }
}

/// A page of `conversations`.
#[derive(Debug, Clone)]
pub(crate) struct ConversationsPage {
    pub(crate) conversations: Vec<Conversation>,
    /// The other accounts of those that are direct.
    pub(crate) contacts: Vec<AccountId>,
    pub(crate) more: bool,
}

/// A page of `members`.
#[derive(Debug, Clone)]
pub(crate) struct MembersPage {
    pub(crate) members: Vec<Member>,
    pub(crate) more: bool,
}

/// An account's place in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) log: LogId,
    pub(crate) account: AccountId,
    /// The first entry that it may read.
    pub(crate) from_seq: u64,
    /// The log's last one.
    pub(crate) last_seq: u64,
}

/// What counts for something that is told to a conversation's members and not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// The current epoch.
    pub(crate) epoch: u64,
    /// The roster's version: whoever is told is a member by that one or a later one.
    pub(crate) members_seq: u64,
}

/// Watermarks after a `mark`; `None` where one did not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) delivered: Option<u64>,
    pub(crate) read: Option<u64>,
}

/// Logs and who belongs to them.
#[async_trait]
pub(crate) trait LogStore {
    /// Appends a batch; the hot path. Under each log's lock, in the given order,
    /// for each: the same (log, entry) by the same device stands there → its
    /// first seq, `duplicate`; the log is an inbox → `forbidden`; the account is
    /// no member (or the archive isn't its) → `not-member`; an epoch is given
    /// and isn't current → `epoch-conflict`; else number it, insert it, bump.
    /// Numbers have no holes. An `Err` of the whole: the outcome of all is unknown.
    async fn append(&self, batch: &[Append]) -> Result<Vec<std::result::Result<Appended, Denied>>>;

    /// An MLS commit, atomically and in this order: entry `commit`; entry
    /// `welcome` where there is one, with a notice `welcomed` in the inbox of
    /// each device of `welcome_to`; entry `member` where accounts change; epoch
    /// + 1; group info replaced. The same (log, entry) by the same device again
    /// is a duplicate before all else. Denied: `not-member`, `epoch-conflict`,
    /// `forbidden` by [`super::rules`] or for a welcomed device that is not a
    /// member's, `not-found` for an unknown account or device, `bad-request` for
    /// a Welcome without an entry or the reverse, `conflict` for a taken `welcome_entry`.
    async fn commit(&self, commit: Commit) -> Result<Committed>;

    /// A new conversation with its first `member` entry. A direct one is unique
    /// for its pair; the creator's own again succeeds.
    /// Denied: `not-found` for an unknown account, `conflict` for a taken id.
    async fn create(&self, create: Create) -> Result<Created>;

    /// Another role; writes a `member` entry (none where the role is the same).
    /// Denied: `not-member`, `not-found` for an account that is no member,
    /// `forbidden` by [`super::rules`].
    async fn grant(
        &self,
        conversation: LogId,
        actor: Actor,
        account: AccountId,
        role: Role,
        member_entry: EntryId,
        at: u64,
    ) -> Result<Vec<Written>>;

    /// The actor is no member any more; writes a `member` entry. Where no admin
    /// is left, the longest-standing member becomes one, in the same entry.
    /// Denied: `not-member`, `forbidden` in a direct conversation.
    async fn leave(&self, conversation: LogId, actor: Actor, member_entry: EntryId, at: u64) -> Result<Vec<Written>>;

    /// Entries after a cursor, oldest first: at most `limit`, and at most
    /// `bytes_max` of blocks but at least one. Denied: `not-member`.
    async fn fetch(&self, log: LogId, reader: Actor, after: u64, limit: u32, bytes_max: usize) -> Result<Page>;

    /// Entries `first..=last` of a log, for pushing: no membership is checked. Blocks
    /// beyond `bytes_max` in all are left for the next time; one entry at least comes where there is one.
    async fn entries(&self, log: LogId, first: u64, last: u64, bytes_max: usize) -> Result<Vec<Entry>>;

    /// Forgets a device's inbox through a number. Denied: `not-member` for any other log.
    async fn trim(&self, log: LogId, device: DeviceId, through: u64) -> Result<()>;

    /// Epoch and GroupInfo of the last commit. Denied: `not-member`, `not-found` before the first.
    async fn group_info(&self, conversation: LogId, account: AccountId) -> Result<(u64, Bytes)>;

    /// The account's conversations after an id, ordered by id.
    async fn conversations(&self, account: AccountId, after: Option<LogId>, limit: u32) -> Result<ConversationsPage>;

    /// Bounds of the device's inbox and of the account's archive.
    async fn own_logs(&self, actor: Actor) -> Result<(LogBounds, LogBounds)>;

    /// A conversation's members after an account, ordered by account. Denied: `not-member`.
    async fn members(&self, conversation: LogId, account: AccountId, after: Option<AccountId>, limit: u32) -> Result<MembersPage>;

    /// Moves the account's watermarks; never back, never beyond the last entry.
    /// Denied: `not-member`.
    async fn mark(&self, conversation: LogId, account: AccountId, delivered: Option<u64>, read: Option<u64>) -> Result<Moved>;

    /// A conversation as it is now. Denied: `not-member`.
    async fn now(&self, conversation: LogId, account: AccountId) -> Result<Now>;

    /// The versions of logs' rosters; unknown logs are left out.
    async fn roster_versions(&self, logs: &[LogId]) -> Result<Vec<(LogId, u64)>>;

    /// Who gets a log's pushes; an unknown log has an empty roster.
    async fn roster(&self, log: LogId) -> Result<Roster>;

    /// The logs that a device's connection receives pushes of (conversations,
    /// inbox, archive), with their last numbers.
    async fn logs_of(&self, actor: Actor) -> Result<Vec<(LogId, u64)>>;

    /// The conversations that any of these accounts is a member of, with where each reads from.
    async fn memberships(&self, accounts: &[AccountId]) -> Result<Vec<Membership>>;

    /// Which of these logs go on behind the number that is given with each, and up to which number.
    async fn beyond(&self, known: &[(LogId, u64)]) -> Result<Vec<(LogId, u64)>>;
}
