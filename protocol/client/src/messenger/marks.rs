//! How far others have read, and telling them how far one has.

use super::{Messenger, members, shared::Shared};
use crate::{
    chat,
    ids::{Expose, Seal},
    problem::Problem,
    profile::{Profile, contacts, marks, take},
    record::{Mark, Person},
};
use fastchat_e2e::{ConversationId, groups::Groups, store::Reader};
use fastchat_wire::chat::mark::MarkEvent;
use std::{collections::BTreeMap, sync::Arc};

/// Keeps what the server tells of a member; of others it is ignored.
pub(super) async fn heard(shared: &Arc<Shared>, event: MarkEvent) -> Result<(), Problem> {
    let (conversation, account) = (event.conversation.sealed(), event.account.sealed());
    let mark = Mark {
        delivered: event.delivered.unwrap_or(0),
        read: event.read.unwrap_or(0),
    };
    let kept = shared.profile.run(move |profile| {
        profile.change(
            |groups, tx| match take::accounts(&groups.view(tx, conversation)?).contains(&account) {
                true => marks::save(tx, conversation, account, mark),
                false => Ok(()),
            },
        )
    });
    kept.await
}

impl Messenger {
    /// How far each of the other members has a conversation, by the server's word, which is asked.
    ///
    /// # Errors
    /// `not-member`; [`Problem::CannotConnect`].
    pub async fn marks(&self, conversation: ConversationId) -> Result<Vec<(Person, Mark)>, Problem> {
        let connection = self.shared.connection().await?;
        let listed = members::list(&connection, conversation).await?;
        let told: Vec<_> = listed
            .into_iter()
            .map(|(account, member)| {
                let (delivered, read) = (member.delivered, member.read);
                (account, Mark { delivered, read })
            })
            .collect();
        let kept = self.shared.profile.run(move |profile| {
            profile.change(|groups, tx| {
                let members = take::accounts(&groups.view(tx, conversation)?);
                for (account, mark) in told.into_iter().filter(|(account, _)| members.contains(account)) {
                    marks::save(tx, conversation, account, mark)?;
                }
                others(groups, tx, conversation)
            })
        });
        kept.await
    }

    /// Tells the others that everything up to these numbers was read. Nobody is told unless somebody calls this.
    ///
    /// # Errors
    /// [`Problem::CannotConnect`]; `not-member`.
    pub async fn mark_read(&self, through: &BTreeMap<ConversationId, u64>) -> Result<(), Problem> {
        for (conversation, seq) in through {
            let connection = self.shared.connection().await?;
            chat::mark(&connection, conversation.wire(), None, Some(*seq)).await?;
        }
        Ok(())
    }
}

impl Profile {
    /// How far each of the other members has a conversation, as far as this device was told.
    ///
    /// # Errors
    /// `not-member`; [`Problem::Store`].
    pub fn marks(&self, conversation: ConversationId) -> Result<Vec<(Person, Mark)>, Problem> {
        self.look(|groups, tx| others(groups, tx, conversation))
    }
}

fn others(groups: &mut Groups, tx: &Reader<'_>, conversation: ConversationId) -> Result<Vec<(Person, Mark)>, Problem> {
    let told: BTreeMap<_, _> = marks::all(tx, conversation)?.into_iter().collect();
    let me = groups.me().account;
    let members = take::accounts(&groups.view(tx, conversation)?);
    let others = members.into_iter().filter(|account| *account != me);
    others
        .map(|account| Ok((contacts::person(tx, account)?, told.get(&account).copied().unwrap_or_default())))
        .collect()
}
