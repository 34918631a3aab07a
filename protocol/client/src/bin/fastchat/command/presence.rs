//! `fastchat presence`

use crate::{
    args::username,
    context::Context,
    online::Online,
    stop::Stop,
    terminal::{human, json},
};
use fastchat_client::{problem::Problem, profile::Profile, record::Room};
use fastchat_e2e::{AccountId, Username};
use serde::Serialize;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long the server may take to tell of everybody.
const PATIENCE: Duration = Duration::from_secs(5);

/// Say who is online
///
/// Of people that you have direct chats with; the fleet tells it to nobody else. Who was online a few seconds ago still
/// counts as online.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat presence
  fastchat presence @bob --json | jq .online"))]
pub(crate) struct Args {
    /// Whom to look for [default: everybody that you have a direct chat with]
    #[arg(value_name = "@USER", value_parser = username)]
    people: Vec<Username>,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    user: String,
    online: bool,
}

pub(crate) async fn run(context: &Context<'_>, args: &Args) -> Result<(), Stop> {
    let mut online = context.online()?;
    online.ready().await?;
    let outcome = tell(context, &online, args).await;
    online.close().await;
    outcome
}

async fn tell(context: &Context<'_>, online: &Online<'_>, args: &Args) -> Result<(), Stop> {
    let rooms = chosen(online.profile(), &args.people)?;
    if rooms.is_empty() {
        context
            .screen
            .confirm("no direct chats yet: begin one with `fastchat send @user TEXT`");
    }
    let known = known(online, &rooms).await;
    for room in &rooms {
        let Some(peer) = &room.peer else { continue };
        let Some(online) = known.get(&peer.account).copied() else {
            return Err(Problem::declined(
                "timed-out",
                "the server did not tell of everybody: it tells of 500 people at most, and of nobody while it starts. Try again",
            )
            .into());
        };
        let title = room.title();
        let line = Line {
            name: &title,
            user: json::person(peer),
            online,
        };
        let state = if online { "online" } else { "offline" };
        context.screen.result(&line, || format!("{}  {state}", human::brief(&title)))?;
    }
    Ok(())
}

/// The direct chats with these people, or all of them, by name.
fn chosen(profile: &Arc<Profile>, people: &[Username]) -> Result<Vec<Room>, Problem> {
    let mut rooms = profile.rooms()?;
    rooms.retain(|room| room.peer.is_some());
    rooms.sort_by_cached_key(|room| (room.title(), room.conversation));
    if people.is_empty() {
        return Ok(rooms);
    }
    people
        .iter()
        .map(|name| {
            let is_with = |room: &&Room| room.peer.as_ref().is_some_and(|peer| peer.username.as_ref() == Some(name));
            rooms.iter().find(is_with).cloned().ok_or_else(|| {
                Problem::declined(
                    "not-found",
                    format!("no direct chat with @{name}: the fleet tells who is online to those who have one. Write to them first"),
                )
            })
        })
        .collect()
}

/// What the server has told, once it has told of all of these, or takes too long.
async fn known(online: &Online<'_>, rooms: &[Room]) -> HashMap<AccountId, bool> {
    let mut presence = online.messenger.presence();
    let accounts: Vec<AccountId> = rooms
        .iter()
        .filter_map(|room| room.peer.as_ref())
        .map(|peer| peer.account)
        .collect();
    let told = presence.wait_for(|known| accounts.iter().all(|account| known.contains_key(account)));
    match timeout(PATIENCE, told).await {
        Ok(Ok(known)) => known.clone(),
        _ => online.messenger.presence().borrow().clone(),
    }
}
