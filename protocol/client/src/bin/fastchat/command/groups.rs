//! `fastchat groups`

use crate::{
    context::Context,
    online::Online,
    stop::Stop,
    terminal::{human, json},
};
use anstyle::{AnsiColor, Style};
use fastchat_client::{
    profile::Profile,
    record::{self, Room},
};
use fastchat_e2e::ConversationId;
use serde::Serialize;
use std::sync::Arc;

const TITLE: Style = AnsiColor::Cyan.on_default();
const DETAIL: Style = Style::new().dimmed();
const STOPPED: Style = AnsiColor::Red.on_default().bold();

/// List the groups
///
/// News of the fleet is fetched before, if that takes no more than 3 s. The number of members is that of the group's
/// own state on this device; offline it is left out. Where nothing is sent, because somebody is not who you know, that is
/// said; with --json as `stopped_by`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat groups
  fastchat groups --direct --json | jq -r .name"))]
pub(crate) struct Args {
    /// List direct chats, too
    #[arg(long)]
    direct: bool,
    /// Don't ask the fleet for news first
    #[arg(long)]
    offline: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    conversation: ConversationId,
    name: &'a str,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    /// After how long messages disappear.
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_s: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    picture: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    verified: bool,
    /// Who is not who this device knows: nothing is sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stopped_by: Vec<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    out: bool,
}

pub(crate) async fn run(context: &Context<'_>, args: &Args) -> Result<(), Stop> {
    let profile = Arc::new(context.profile()?);
    let online = context.refreshed(&profile, args.offline).await;
    let outcome = list(context, &profile, online.as_ref(), args.direct).await;
    if let Some(online) = online {
        online.close().await;
    }
    outcome
}

async fn list(context: &Context<'_>, profile: &Profile, online: Option<&Online<'_>>, direct: bool) -> Result<(), Stop> {
    let mut rooms = profile.rooms()?;
    rooms.retain(|room| direct || room.peer.is_none());
    rooms.sort_by_cached_key(|room| (room.title(), room.conversation));
    if rooms.is_empty() {
        context
            .screen
            .confirm("no groups yet: make one with `fastchat group create NAME @user…`");
    }
    for room in &rooms {
        let members = members(online, room).await;
        let title = room.title();
        let line = Line {
            conversation: room.conversation,
            name: &title,
            seq: room.seq,
            members,
            peer: room.peer.as_ref().map(json::person),
            retention_s: Some(room.retention_s).filter(|seconds| *seconds > 0),
            picture: room.picture.is_some(),
            verified: room.verified,
            stopped_by: room.stops.iter().map(|stop| stop.username.as_str()).collect(),
            out: room.out,
        };
        context.screen.result(&line, || text(room, &title, members))?;
    }
    Ok(())
}

/// How many are in a group, where its state is at hand.
async fn members(online: Option<&Online<'_>>, room: &Room) -> Option<usize> {
    if room.out || room.peer.is_some() {
        return None;
    }
    let members = online?.messenger.members(room.conversation).await;
    members.map(|members| members.len()).ok()
}

fn text(room: &Room, title: &str, members: Option<usize>) -> String {
    let title = human::brief(title);
    let detail = match members {
        _ if room.out => "  you are in it no longer".to_owned(),
        Some(1) => "  1 member".to_owned(),
        Some(members) => format!("  {members} members"),
        None if room.verified => "  verified".to_owned(),
        None => String::new(),
    };
    let retention = match room.retention_s {
        0 => String::new(),
        seconds => format!("  messages disappear after {}", record::duration(seconds)),
    };
    let stop = room.stops.first().map(|stop| {
        let name = &stop.username;
        format!("  {STOPPED}nothing is sent: @{name} is not who you know, see `fastchat verify @{name}`{STOPPED:#}")
    });
    format!(
        "{TITLE}{title}{TITLE:#}{DETAIL}{detail}{retention}{DETAIL:#}{}",
        stop.unwrap_or_default()
    )
}
