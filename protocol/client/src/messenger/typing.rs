//! Who is typing: told to those who are online, kept nowhere.

use super::{Messenger, shared::Shared};
use crate::{
    chat,
    ids::{Expose, Seal},
    problem::Problem,
    profile::{contacts, trust},
    record::Person,
};
use bytes::Bytes;
use fastchat_e2e::{ConversationId, signal::Signal};
use fastchat_wire::chat::signal::SignalEvent;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Signals that a slow receiver may be behind; older ones are dropped.
pub(super) const SIGNALS_MAX: usize = 64;

/// Somebody writes something just now. Any member can say so of any other: believe no more of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typing {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub person: Person,
}

/// A signal of somebody else. What does not open, or comes again, is dropped.
pub(super) async fn heard(shared: &Arc<Shared>, event: SignalEvent, block: Bytes) -> Result<(), Problem> {
    if shared.typing.receiver_count() == 0 {
        return Ok(());
    }
    let conversation = event.conversation.sealed();
    let opened = shared.profile.run(move |profile| {
        profile.change(|groups, tx| {
            let me = groups.me().account;
            let opened = groups.open_signal(tx, conversation, &block)?;
            // The server's word on whose it is must be the sealed one.
            let told = opened.filter(|(who, _)| (who.account, who.device) == (event.from.sealed(), event.device.sealed()));
            match told {
                Some((who, Signal::Typing)) if who.account != me => Ok(Some(contacts::person(tx, who.account)?)),
                _ => Ok(None),
            }
        })
    });
    if let Some(person) = opened.await? {
        // Nobody may listen any more.
        let _ = shared.typing.send(Typing { conversation, person });
    }
    Ok(())
}

impl Messenger {
    /// Tells the members who are online that this account is writing something.
    ///
    /// # Errors
    /// `not-member`; [`Problem::Distrusted`]; `epoch-conflict` where the conversation has just moved on: it was no matter.
    pub async fn typing(&self, conversation: ConversationId) -> Result<(), Problem> {
        let sealed = self.shared.profile.run(move |profile| {
            profile.change(|groups, tx| {
                trust::check(tx, conversation)?;
                Ok(groups.seal_signal(tx, conversation, Signal::Typing)?)
            })
        });
        let (epoch, block) = sealed.await?;
        let connection = self.shared.connection().await?;
        Ok(chat::signal(&connection, conversation.wire(), epoch, block.into()).await?)
    }

    /// Who is typing, from now on; signals are opened only while somebody listens.
    #[must_use]
    pub fn typing_by_others(&self) -> broadcast::Receiver<Typing> {
        self.shared.typing.subscribe()
    }
}
