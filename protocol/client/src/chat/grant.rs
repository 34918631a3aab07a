//! `grant`: another role for a member.

use crate::{Connection, Failure};
use fastchat_wire::{
    AccountId, Block, LogId,
    chat::{grant::Grant, members::Role},
};

/// Gives a member a role.
///
/// # Errors
/// `forbidden` (not an admin), `not-member`, `not-found`.
pub async fn grant(connection: &Connection, conversation: LogId, account: AccountId, role: Role) -> Result<(), Failure> {
    let request = Grant {
        conversation,
        account,
        role,
    };
    connection.request(&request, &Block::none()).await.map(drop)
}
