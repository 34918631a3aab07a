//! Conversations, members and rosters, from their rows.

use super::{
    Denied, Result,
    logs::{Actor, ConversationsPage, MembersPage, Membership, Now, Roster, RosterMember},
    values::{self, LogKind},
};
use fastchat_schema::Columns;
use fastchat_wire::{
    DeviceId, LogId,
    chat::{
        conversations::{Conversation, LogBounds},
        create::ConversationKind,
        members::Member,
    },
};

/// A page of conversations; one row more than asked for says that there are more.
pub(in crate::store) fn conversations(rows: &[impl Columns], limit: u32) -> Result<ConversationsPage> {
    let asked = usize::try_from(limit).unwrap_or(usize::MAX);
    let contacts = rows.iter().take(asked).map(|row| values::optional_id(row, "contact"));
    Ok(ConversationsPage {
        more: rows.len() > asked,
        contacts: contacts.filter_map(Result::transpose).collect::<Result<_>>()?,
        conversations: rows.iter().take(asked).map(conversation).collect::<Result<_>>()?,
    })
}

fn conversation(row: &impl Columns) -> Result<Conversation> {
    let LogKind::Conversation(kind) = values::log_kind(row, "kind")? else {
        return Err(values::inconsistent("an inbox or archive has members".to_owned()));
    };
    Ok(Conversation {
        conversation: values::id(row, "id")?,
        kind,
        role: values::role(row, "role")?,
        from_seq: values::number(row, "from_seq")?,
        last_seq: values::number(row, "last_seq")?,
        epoch: values::number(row, "epoch")?,
        members: values::number(row, "members")?,
        read: values::number(row, "read")?,
    })
}

/// A page of members; one row more than asked for says that there are more.
pub(in crate::store) fn members(rows: &[impl Columns], limit: u32) -> Result<MembersPage> {
    let asked = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(MembersPage {
        more: rows.len() > asked,
        members: rows.iter().take(asked).map(member).collect::<Result<_>>()?,
    })
}

fn member(row: &impl Columns) -> Result<Member> {
    Ok(Member {
        account: values::id(row, "account_id")?,
        username: values::text(row, "username")?
            .parse()
            .map_err(|_| values::inconsistent("a stored username is none".to_owned()))?,
        role: values::role(row, "role")?,
        devices: values::concatenated_ids(row, "devices")?,
        read: values::number(row, "read")?,
        delivered: values::number(row, "delivered")?,
    })
}

/// A log's roster: one row for each member, or one without where there is none.
pub(in crate::store) fn roster(log: LogId, rows: &[impl Columns]) -> Result<Roster> {
    let mut roster = Roster {
        log,
        members_seq: 0,
        only_device: None,
        is_direct: false,
        members: Vec::with_capacity(rows.len()),
    };
    for row in rows {
        let kind = values::log_kind(row, "kind")?;
        if kind == LogKind::Inbox {
            roster.only_device = Some(DeviceId(log.0));
        }
        roster.is_direct = kind == LogKind::Conversation(ConversationKind::Direct);
        roster.members_seq = values::number(row, "members_seq")?;
        roster.members.extend(match kind {
            LogKind::Inbox | LogKind::Archive => Some(RosterMember {
                account: values::id(row, "owner")?,
                from_seq: 1,
                through_seq: None,
            }),
            LogKind::Conversation(_) => roster_member(row)?,
        });
    }
    Ok(roster)
}

fn roster_member(row: &impl Columns) -> Result<Option<RosterMember>> {
    let Some(account) = values::optional_id(row, "account_id")? else {
        return Ok(None);
    };
    Ok(Some(RosterMember {
        account,
        from_seq: values::number(row, "from_seq")?,
        through_seq: values::optional_number(row, "through_seq")?,
    }))
}

/// Bounds of a device's inbox and of its account's archive.
pub(in crate::store) fn own_logs(rows: &[impl Columns], actor: Actor) -> Result<(LogBounds, LogBounds)> {
    let bounds = rows.iter().map(|row| {
        Ok(LogBounds {
            log: values::id(row, "id")?,
            first_seq: values::number(row, "first_seq")?,
            last_seq: values::number(row, "last_seq")?,
        })
    });
    let bounds: Vec<LogBounds> = bounds.collect::<Result<_>>()?;
    let find = |log: LogId| bounds.iter().find(|bounds| bounds.log == log).cloned().ok_or(Denied::NotMember);
    Ok((find(LogId::inbox_of(actor.device))?, find(LogId::archive_of(actor.account))?))
}

/// An account's place in a conversation.
pub(in crate::store) fn membership(row: &impl Columns) -> Result<Membership> {
    Ok(Membership {
        log: values::id(row, "id")?,
        account: values::id(row, "account_id")?,
        from_seq: values::number(row, "from_seq")?,
        last_seq: values::number(row, "last_seq")?,
    })
}

/// What counts for something that is not stored.
pub(in crate::store) fn now(row: &impl Columns) -> Result<Now> {
    Ok(Now {
        epoch: values::number(row, "epoch")?,
        members_seq: values::number(row, "members_seq")?,
    })
}

/// The version of a log's roster.
pub(in crate::store) fn roster_version(row: &impl Columns) -> Result<(LogId, u64)> {
    Ok((values::id(row, "id")?, values::number(row, "members_seq")?))
}

/// A log's last number.
pub(in crate::store) fn last_seq(row: &impl Columns) -> Result<(LogId, u64)> {
    Ok((values::id(row, "id")?, values::number(row, "last_seq")?))
}
