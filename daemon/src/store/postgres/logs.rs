//! [`LogStore`] on PostgreSQL: one file for each verb, named here.

use super::{PostgresStore, commit, conversations, create, fetch, grant, group_info, leave, mark, members, trim};
use crate::store::{
    Denied, LogStore, Result,
    logs::{
        Actor, Append, Appended, Commit, Committed, ConversationsPage, Create, Created, Entry, MembersPage, Membership, Moved, Now, Page,
        Roster, Written,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use fastchat_wire::{
    AccountId, DeviceId, EntryId, LogId,
    chat::{conversations::LogBounds, members::Role},
};

#[async_trait]
impl LogStore for PostgresStore {
    async fn append(&self, batch: &[Append]) -> Result<Vec<std::result::Result<Appended, Denied>>> {
        self.appends.append(batch).await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed> {
        let conversation = commit.conversation;
        let outcome = commit::commit(&self.database, commit).await;
        self.appends.forget(conversation);
        outcome
    }

    async fn create(&self, create: Create) -> Result<Created> {
        create::create(&self.database, create).await
    }

    async fn grant(
        &self,
        conversation: LogId,
        actor: Actor,
        account: AccountId,
        role: Role,
        member_entry: EntryId,
        at: u64,
    ) -> Result<Vec<Written>> {
        let outcome = grant::grant(&self.database, conversation, actor, account, role, member_entry, at).await;
        self.appends.forget(conversation);
        outcome
    }

    async fn leave(&self, conversation: LogId, actor: Actor, member_entry: EntryId, at: u64) -> Result<Vec<Written>> {
        let outcome = leave::leave(&self.database, conversation, actor, member_entry, at).await;
        self.appends.forget(conversation);
        outcome
    }

    async fn fetch(&self, log: LogId, reader: Actor, after: u64, limit: u32, bytes_max: usize) -> Result<Page> {
        fetch::fetch(&self.database, log, reader, after, limit, bytes_max).await
    }

    async fn entries(&self, log: LogId, first: u64, last: u64, bytes_max: usize) -> Result<Vec<Entry>> {
        fetch::entries(&self.database, log, first, last, bytes_max).await
    }

    async fn trim(&self, log: LogId, device: DeviceId, through: u64) -> Result<()> {
        trim::trim(&self.database, log, device, through).await
    }

    async fn group_info(&self, conversation: LogId, account: AccountId) -> Result<(u64, Bytes)> {
        group_info::group_info(&self.database, conversation, account).await
    }

    async fn conversations(&self, account: AccountId, after: Option<LogId>, limit: u32) -> Result<ConversationsPage> {
        conversations::conversations(&self.database, account, after, limit).await
    }

    async fn own_logs(&self, actor: Actor) -> Result<(LogBounds, LogBounds)> {
        conversations::own_logs(&self.database, actor).await
    }

    async fn members(&self, conversation: LogId, account: AccountId, after: Option<AccountId>, limit: u32) -> Result<MembersPage> {
        members::members(&self.database, conversation, account, after, limit).await
    }

    async fn mark(&self, conversation: LogId, account: AccountId, delivered: Option<u64>, read: Option<u64>) -> Result<Moved> {
        mark::mark(&self.database, conversation, account, delivered, read).await
    }

    async fn now(&self, conversation: LogId, account: AccountId) -> Result<Now> {
        members::now(&self.database, conversation, account).await
    }

    async fn roster_versions(&self, logs: &[LogId]) -> Result<Vec<(LogId, u64)>> {
        conversations::roster_versions(&self.database, logs).await
    }

    async fn roster(&self, log: LogId) -> Result<Roster> {
        members::roster(&self.database, log).await
    }

    async fn logs_of(&self, actor: Actor) -> Result<Vec<(LogId, u64)>> {
        conversations::logs_of(&self.arrivals, actor).await
    }

    async fn memberships(&self, accounts: &[AccountId]) -> Result<Vec<Membership>> {
        conversations::memberships(&self.database, accounts).await
    }

    async fn beyond(&self, known: &[(LogId, u64)]) -> Result<Vec<(LogId, u64)>> {
        conversations::beyond(&self.database, known).await
    }
}
