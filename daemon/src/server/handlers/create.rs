//! `create`: a new conversation.

use super::{Call, Handled, Refusal};
use crate::{
    server::{
        Server,
        context::{Identity, now_ms},
    },
    store::logs::Create,
};
use fastchat_wire::{
    Block, EntryId,
    chat::create::{self, ConversationKind, Created},
    limits::CREATE_MEMBERS_MAX,
};
use uuid::Uuid;

/// Creates it, or finds the direct one that exists.
pub(crate) async fn handle(server: &Server, identity: &Identity, call: &Call) -> Handled {
    let arguments: create::Create = call.arguments()?;
    let mut members = arguments.members;
    if members.len() > CREATE_MEMBERS_MAX {
        return Err(Refusal::bad_request(format!(
            "more than {CREATE_MEMBERS_MAX} members: add the others by commit"
        )));
    }
    members.sort_unstable();
    members.dedup();
    members.retain(|account| *account != identity.account);
    if arguments.kind == ConversationKind::Direct && members.len() != 1 {
        return Err(Refusal::bad_request("a direct conversation has exactly one other account"));
    }
    let create = Create {
        conversation: arguments.conversation,
        kind: arguments.kind,
        actor: identity.actor(),
        members,
        member_entry: EntryId::from(Uuid::now_v7()),
        at: now_ms(),
    };
    let created = server.appender.create(create).await?;
    call.answer(
        &Created {
            conversation: created.conversation,
            created: created.created,
        },
        &Block::none(),
    )
}
