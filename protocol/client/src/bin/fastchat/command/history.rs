//! `fastchat history @user|#group`

use crate::{
    context::Context,
    online::Online,
    stop::Stop,
    terminal::{
        human::{self, Lines},
        json,
        shown::{Shown, is_told},
    },
};
use fastchat_client::{
    problem::Problem,
    profile::Profile,
    record::{Mark, Person, Recipient, Record, find},
};
use fastchat_e2e::ConversationId;
use jiff::Zoned;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long the fleet may take to say who has read what.
const PATIENCE: Duration = Duration::from_secs(3);
/// Records that are read first; twice as many while they do not suffice.
const FIRST_READ: usize = 256;

/// Show what was said in a conversation
///
/// Shows texts and files as they are now (corrected, taken back, with reactions), oldest first, from this device's own profile; with --all also what was done. What the fleet
/// has since is fetched before, if that takes no more than 3 s. It is not marked as read: `fastchat listen` will still
/// show it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat history @bob
  fastchat history @bob --numbers --limit 5
  fastchat history @bob --marks                 what has arrived, what was read
  fastchat history '#team' --limit 20 --all
  fastchat history @bob --offline --json | jq -r .text"))]
pub(crate) struct Args {
    /// Which: @user, or a group as '#name' (quoted)
    #[arg(value_name = "@user|#group")]
    of: Recipient,
    /// Only the last N
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Show also what was done, not only what was said
    #[arg(long)]
    all: bool,
    /// Show the number of each message, by which `edit`, `delete`, `react` and `save` name it
    #[arg(short, long)]
    numbers: bool,
    /// Show to whom your messages were delivered (✓), and who has read them (✓✓), by the fleet's word
    ///
    /// ✓ is everybody's device, ✓✓ everybody who tells that they have read; before that it says how many. Most don't tell
    /// what they have read.
    #[arg(long)]
    marks: bool,
    /// Tell the others that you have read what is shown
    #[arg(long, conflicts_with = "offline")]
    read_marks: bool,
    /// Don't ask the fleet for news first
    #[arg(long)]
    offline: bool,
}

pub(crate) async fn run(context: &Context<'_>, args: &Args) -> Result<(), Stop> {
    let profile = Arc::new(context.profile()?);
    let online = context.refreshed(&profile, args.offline).await;
    let outcome = show(context, &profile, online.as_ref(), args).await;
    if let Some(online) = online {
        online.close().await;
    }
    outcome
}

async fn show(context: &Context<'_>, profile: &Profile, online: Option<&Online<'_>>, args: &Args) -> Result<(), Stop> {
    if profile.is_restoring()? {
        context
            .screen
            .note("the archive is not read to its beginning yet: `fastchat restore` goes on, and says how far it is");
    }
    let rooms = profile.rooms()?;
    let room = find(&rooms, &args.of)?;
    let title = room.title();
    let records = last(profile, room.conversation, args.limit, |record| args.all || is_told(record))?;
    let marks = match online {
        _ if !args.marks || room.out => None,
        Some(online) => Some(marks(context, online, room.conversation).await?),
        None => Some(profile.marks(room.conversation)?),
    };
    let mut lines = Lines::new(&Zoned::now()).numbered(args.numbers);
    for record in &records {
        let shown = Shown::kept(record, &title);
        if context.screen.is_json() {
            context.screen.object(&json::record(&shown).marked(marks.as_deref()))?;
        } else {
            let ticks = marks.as_deref().map(|marks| human::ticks(record, marks)).unwrap_or_default();
            context.screen.print(&format!("{}{ticks}", lines.record(&shown)))?;
        }
    }
    if let (true, Some(online), Some(last)) = (args.read_marks && !room.out, online, records.last()) {
        let through = BTreeMap::from([(room.conversation, last.seq)]);
        online.messenger.mark_read(&through).await?;
    }
    Ok(())
}

/// As the fleet says now; where it does not answer, as it said last.
async fn marks(context: &Context<'_>, online: &Online<'_>, conversation: ConversationId) -> Result<Vec<(Person, Mark)>, Problem> {
    match timeout(PATIENCE, online.messenger.marks(conversation)).await {
        Ok(Ok(marks)) => return Ok(marks),
        Ok(Err(problem)) => context.screen.note(&format!("the marks may not be up to date: {problem}")),
        Err(_) => context.screen.note("the marks may not be up to date: the fleet does not answer"),
    }
    online.profile().marks(conversation)
}

/// The last `limit` records that pass, or all of them, oldest first.
fn last(
    profile: &Profile,
    conversation: ConversationId,
    limit: Option<usize>,
    passes: impl Fn(&Record) -> bool,
) -> Result<Vec<Record>, Problem> {
    let mut read = FIRST_READ;
    loop {
        let mut records = profile.history(conversation, read)?;
        let is_all = records.len() < read;
        records.retain(|record| passes(record));
        let surplus = limit.and_then(|limit| records.len().checked_sub(limit));
        if let Some(surplus) = surplus {
            records.drain(..surplus);
        }
        if is_all || surplus.is_some() {
            return Ok(records);
        }
        read = read.saturating_mul(2);
    }
}
