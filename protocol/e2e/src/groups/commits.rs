//! A commit in the log: applied, skipped by everybody, or the end of the way for this device.
//!
//! ```text
//!   applies here? ──yes──> the next epoch
//!        │no
//!   good by its public side? ──no──> skipped: everybody goes on from the epoch before
//!        │yes
//!   others may have applied it: this device is stranded, and comes in again by itself
//! ```

use super::{
    Groups,
    error::Error,
    external,
    outbox::{self, Row},
    receive::{Cause, Taking, What},
    rows,
    send::withdraw,
    stranded::Stranding,
};
use crate::{
    content::{Body, Content, Notice},
    id::{ConversationId, EntryId},
    log::{Block, Joining, LogEntry, Position},
    mls::{Applied, GroupError, observer::Observer},
    store::Writer,
};

impl Groups {
    pub(super) fn take_commit(
        &mut self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        position: &mut Position,
        entry: &LogEntry<'_>,
        own: Option<&Row>,
        taking: &mut Taking,
    ) -> Result<What, Error> {
        position.server_epoch = entry.epoch.unwrap_or(position.server_epoch).saturating_add(1);
        let Block::Bytes(bytes) = entry.block else {
            return Ok(What::Unreadable { cause: Cause::NoBlock });
        };
        if position.out {
            return Ok(What::Unreadable { cause: Cause::Out });
        }
        if let Some(seen) = rows::stranded(tx, conversation)? {
            return match self.take_way_back(tx, conversation, position, entry)? {
                Some(what) => Ok(what),
                None => self.watch(tx, conversation, position, seen.expose(), bytes),
            };
        }
        let pending = rows::pending_commit(tx, conversation)?;
        let mut group = self.take_live(tx, conversation, position)?;
        let applied = match (&pending, own) {
            (Some(pending), Some(_)) if pending.entry == entry.entry => group.apply_own(pending.secrets.expose()),
            _ => group.process(bytes),
        };
        let overtaken = withdraw(tx, conversation)?.filter(|lost| *lost != entry.entry);
        let applied = match applied {
            Ok(applied) => applied,
            // Anybody sees that this is no commit.
            Err(cause @ GroupError::Unexpected(_)) => return Ok(What::BadCommit { cause, overtaken }),
            // Before this device, which came in by itself, has opened anything of anybody: theirs may be another group.
            Err(GroupError::Epoch { .. }) if position.unproven.is_some() => return self.pass_by(tx, conversation, position, overtaken),
            Err(cause @ GroupError::Epoch { .. }) => return Ok(What::BadCommit { cause, overtaken }),
            Err(cause) => {
                // Loaded anew: what failed half-way is never looked at.
                let group = self.take_live(tx, conversation, position)?;
                let mut observer = Observer::of(&group)?;
                let Ok(seen) = observer.process(bytes) else {
                    if position.unproven.is_some() {
                        return self.pass_by(tx, conversation, position, overtaken);
                    }
                    return Ok(What::BadCommit { cause, overtaken });
                };
                if !observer.has(self.me())? {
                    return self.shut_out(tx, conversation, position, seen.author.who);
                }
                rows::put_stranded(tx, conversation, &observer.to_bytes()?)?;
                let cause = Stranding::Secrets(cause);
                return Ok(What::Stranded { cause, overtaken });
            }
        };
        if applied.out {
            return self.shut_out(tx, conversation, position, applied.author.who);
        }
        self.store(tx, conversation, position, group, true)?;
        if own.is_none() {
            position.unproven = None;
            taking.check(tx, conversation, position, entry, applied.author.who, &applied.authenticated_data)?;
        } else if let Some(pending) = pending.filter(|_| !applied.added.is_empty()) {
            taking.announce = Some(Content {
                id: pending.announcement,
                at_ms: pending.at_ms,
                body: Body::Notice(Notice {
                    notice: "added".to_owned(),
                    accounts: applied.added.iter().map(|leaf| leaf.account).collect(),
                }),
            });
        }
        Ok(What::Commit { applied, overtaken })
    }

    /// The others went on without this device, which came in by itself.
    fn pass_by(
        &mut self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        position: &mut Position,
        overtaken: Option<EntryId>,
    ) -> Result<What, Error> {
        position.unproven = Some(position.unproven.unwrap_or(0).saturating_add(1));
        // It knows nothing of their group.
        rows::put_stranded(tx, conversation, &[])?;
        let cause = Stranding::Unnoticed;
        Ok(What::Stranded { cause, overtaken })
    }

    /// A commit in a group that this device only sees from outside.
    fn watch(
        &mut self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        position: &mut Position,
        seen: &[u8],
        commit: &[u8],
    ) -> Result<What, Error> {
        if seen.is_empty() {
            return Ok(What::Watched);
        }
        let mut observer = Observer::from_bytes(seen)?;
        // One that is no good is skipped by everybody.
        let Ok(seen) = observer.process(commit) else {
            return Ok(What::Watched);
        };
        if !observer.has(self.me())? {
            return self.shut_out(tx, conversation, position, seen.author.who);
        }
        rows::put_stranded(tx, conversation, &observer.to_bytes()?)?;
        Ok(What::Watched)
    }

    /// The own commit by which this device comes in again, in its place in the log.
    fn take_way_back(
        &mut self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        position: &mut Position,
        entry: &LogEntry<'_>,
    ) -> Result<Option<What>, Error> {
        let Some(back) = external::take_if_it_is(tx, conversation, entry)? else {
            return Ok(None);
        };
        let group = self.engine.load(conversation, back.state, &back.tree)?;
        let leaves = group.leaves()?;
        let author = leaves.values().find(|leaf| leaf.who == self.me()).ok_or(GroupError::NoMember)?;
        let applied = Applied {
            author: *author,
            added: Vec::new(),
            removed: Vec::new(),
            out: false,
            authenticated_data: Vec::new(),
        };
        rows::delete_stranded(tx, conversation)?;
        position.unproven = Some(position.unproven.unwrap_or(0));
        if position.head.is_none() {
            position.joining = Some(Joining::alone(entry.seq));
        }
        self.live.remove(&conversation);
        self.store(tx, conversation, position, group, true)?;
        Ok(Some(What::Commit { applied, overtaken: None }))
    }

    fn shut_out(
        &mut self,
        tx: &Writer<'_>,
        conversation: ConversationId,
        position: &mut Position,
        by: crate::mls::MemberDevice,
    ) -> Result<What, Error> {
        self.live.remove(&conversation);
        rows::delete_group(tx, conversation)?;
        position.out = true;
        Ok(What::Out {
            by,
            unsent: outbox::clear(tx, conversation)?,
        })
    }
}
