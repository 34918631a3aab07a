//! Before the load: members sign in, create their conversation, and read how far its log is.

use crate::{book::Account, enter::Entrance, line::Line, trouble::Trouble};
use fastchat_wire::{
    Block, LogId,
    chat::{
        create::{ConversationKind, Create},
        fetch::Fetch,
    },
    limits::{CREATE_MEMBERS_MAX, INTEGER_MAX},
};
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

/// Members that sign in at once.
const AT_ONCE: usize = 16;

/// A conversation whose members are signed in.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) log: LogId,
    /// The log's last entry.
    pub(crate) last_seq: u64,
    /// One for each member.
    pub(crate) lines: Vec<Line>,
}

/// Signs the members in and creates their conversation (a direct one of a run before is used again).
///
/// # Errors
/// The fleet refuses.
pub(crate) async fn open(
    entrance: &Entrance,
    members: &mut [Account],
    kind: ConversationKind,
    seat_of: impl Fn(usize) -> usize,
) -> Result<Opened, Trouble> {
    if members.len() > CREATE_MEMBERS_MAX + 1 {
        let most = CREATE_MEMBERS_MAX + 1;
        return Err(Trouble::Usage(format!("a conversation is created with at most {most} members")));
    }
    let others = members.iter().skip(1).map(|member| member.account).collect();
    let seats = members.iter_mut().enumerate().map(|(i, member)| (seat_of(i), member));
    let mut lines: Vec<Line> = stream::iter(seats)
        .map(|(seat, member)| async move { entrance.patiently(async || entrance.sign_in(seat, member, None).await).await })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let create = Create {
        conversation: Uuid::now_v7().into(),
        kind,
        members: others,
    };
    let log = lines[0].ask(&entrance.pool, &create, &Block::none()).await?.conversation;
    let mut last_seq = 0;
    for line in &mut lines {
        // The answer says that every server knows of the session: from here on nothing is missed.
        let fetch = Fetch {
            log,
            after: INTEGER_MAX - 1,
            limit: Some(1),
        };
        last_seq = line.ask(&entrance.pool, &fetch, &Block::none()).await?.last_seq;
    }
    Ok(Opened { log, last_seq, lines })
}
