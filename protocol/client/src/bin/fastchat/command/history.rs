//! `fastchat history @user|#group`

use crate::{
    context::Context,
    stop::Stop,
    terminal::{
        human::Lines,
        json,
        shown::{Shown, is_told},
    },
};
use fastchat_client::{
    problem::Problem,
    profile::Profile,
    record::{Recipient, Record, find},
};
use fastchat_e2e::ConversationId;
use jiff::Zoned;
use std::sync::Arc;

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
    /// Don't ask the fleet for news first
    #[arg(long)]
    offline: bool,
}

pub(crate) async fn run(context: &Context<'_>, args: &Args) -> Result<(), Stop> {
    let profile = Arc::new(context.profile()?);
    let online = context.refreshed(&profile, args.offline).await;
    let outcome = show(context, &profile, args);
    if let Some(online) = online {
        online.close().await;
    }
    outcome
}

fn show(context: &Context<'_>, profile: &Profile, args: &Args) -> Result<(), Stop> {
    if profile.is_restoring()? {
        context
            .screen
            .note("the archive is not read to its beginning yet: `fastchat restore` goes on, and says how far it is");
    }
    let rooms = profile.rooms()?;
    let room = find(&rooms, &args.of)?;
    let title = room.title();
    let records = last(profile, room.conversation, args.limit, |record| args.all || is_told(record))?;
    let mut lines = Lines::new(&Zoned::now()).numbered(args.numbers);
    for record in &records {
        let shown = Shown::kept(record, &title);
        if context.screen.is_json() {
            context.screen.object(&json::record(&shown))?;
        } else {
            context.screen.print(&lines.record(&shown))?;
        }
    }
    Ok(())
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
