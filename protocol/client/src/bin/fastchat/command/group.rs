//! `fastchat group create|add|remove|leave|promote|demote|members`

use crate::{
    args::username,
    context::Context,
    online::Online,
    rooms,
    stop::Stop,
    terminal::{human, json},
};
use fastchat_client::{problem::Problem, record::Recipient};
use fastchat_e2e::{ConversationId, Username};
use serde_json::json;

/// Make and change groups
///
/// Who makes a group is its admin. Admins add and remove members, and make others admins; everybody may leave. A new
/// member can't read what was said before, a removed one nothing of what follows.
#[derive(Debug, clap::Subcommand)]
#[command(after_long_help = help!(
"  fastchat group create team @bob @carol
  fastchat group add '#team' @dave
  fastchat group members '#team'"))]
pub(crate) enum Verb {
    /// Make a group
    #[command(after_long_help = help!(
"  fastchat group create team @bob @carol
  fastchat group create \"book club\" @bob --json | jq -r .conversation"))]
    Create {
        /// What it is called; only its members can read that
        #[arg(value_name = "NAME")]
        name: String,
        /// Who is in it, beside you
        #[arg(value_name = "@user", value_parser = username)]
        members: Vec<Username>,
    },
    /// Add members (admins only)
    #[command(after_long_help = help!("  fastchat group add '#team' @dave @erin"))]
    Add(Change),
    /// Remove members (admins only)
    #[command(after_long_help = help!("  fastchat group remove '#team' @dave"))]
    Remove(Change),
    /// Make members admins (admins only)
    #[command(after_long_help = help!("  fastchat group promote '#team' @bob"))]
    Promote(Change),
    /// Make admins plain members (admins only)
    #[command(after_long_help = help!("  fastchat group demote '#team' @bob"))]
    Demote(Change),
    /// Leave a group; its history stays in the profile
    #[command(after_long_help = help!("  fastchat group leave '#team'"))]
    Leave(Which),
    /// List who is in a group
    #[command(after_long_help = help!("  fastchat group members '#team' --json | jq -r .username"))]
    Members {
        /// Which group.
        #[command(flatten)]
        which: Which,
        /// Don't ask the fleet for news first
        #[arg(long)]
        offline: bool,
    },
}

/// A group.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// The group, as '#name' (quoted) or the beginning of its id
    #[arg(value_name = "#group")]
    group: Recipient,
}

/// A group, and people.
#[derive(Debug, clap::Args)]
pub(crate) struct Change {
    /// Which group.
    #[command(flatten)]
    which: Which,
    /// Who
    #[arg(value_name = "@user", required = true, value_parser = username)]
    members: Vec<Username>,
}

pub(crate) async fn run(context: &Context<'_>, verb: Verb) -> Result<(), Stop> {
    let mut online = context.online()?;
    let outcome = act(context, &mut online, verb).await;
    online.close().await;
    outcome
}

async fn act<'a>(context: &Context<'a>, online: &mut Online<'a>, verb: Verb) -> Result<(), Stop> {
    if let Verb::Members { which, offline } = &verb {
        if !offline {
            online.refresh().await;
        }
        return members(context, online, which).await;
    }
    online.ready().await?;
    match verb {
        Verb::Create { name, members } => create(context, online, &name, &members).await,
        Verb::Leave(which) => leave(context, online, &which).await,
        Verb::Add(change) => {
            let group = find(online, &change.which)?;
            online.watch.during(online.messenger.add(group, &change.members)).await?;
            changed(context, online, group, "added", &change.members)
        }
        Verb::Remove(change) => {
            let group = find(online, &change.which)?;
            online.watch.during(online.messenger.remove(group, &change.members)).await?;
            changed(context, online, group, "removed", &change.members)
        }
        Verb::Promote(change) => {
            let group = find(online, &change.which)?;
            online.watch.during(online.messenger.promote(group, &change.members)).await?;
            changed(context, online, group, "promoted", &change.members)
        }
        Verb::Demote(change) => {
            let group = find(online, &change.which)?;
            online.watch.during(online.messenger.demote(group, &change.members)).await?;
            changed(context, online, group, "demoted", &change.members)
        }
        Verb::Members { which, .. } => members(context, online, &which).await,
    }
}

/// Finds a group that the profile knows.
fn find(online: &Online<'_>, which: &Which) -> Result<ConversationId, Problem> {
    if let Recipient::Person(name) = &which.group {
        let message = format!("@{name} is a person: name a group as '#name', quoted");
        return Err(Problem::Usage(message));
    }
    Ok(rooms::find(&online.profile().rooms()?, &which.group)?.conversation)
}

async fn create<'a>(context: &Context<'a>, online: &mut Online<'a>, name: &str, members: &[Username]) -> Result<(), Stop> {
    let name = name.strip_prefix('#').unwrap_or(name);
    let group = online.watch.during(online.messenger.create_group(name, members)).await?;
    changed(context, online, group, "created", members)
}

async fn leave<'a>(context: &Context<'a>, online: &mut Online<'a>, which: &Which) -> Result<(), Stop> {
    let group = find(online, which)?;
    online.watch.during(online.messenger.leave(group)).await?;
    changed(context, online, group, "left", &[])
}

/// Says what was done.
fn changed(context: &Context<'_>, online: &Online<'_>, group: ConversationId, done: &str, who: &[Username]) -> Result<(), Stop> {
    let title = rooms::title(online.profile(), group)?;
    let accounts: Vec<&str> = who.iter().map(Username::as_str).collect();
    let line = json!({"conversation": group, "name": title, "type": done, "accounts": accounts});
    context.screen.result(&line, || {
        let names: Vec<String> = who.iter().map(|name| format!("@{name}")).collect();
        let (title, names) = (human::title(&title), names.join(", "));
        if names.is_empty() {
            format!("{done} {title}")
        } else if done == "created" {
            format!("created {title} with {names}")
        } else {
            format!("{done} {names} ({title})")
        }
    })
}

async fn members(context: &Context<'_>, online: &Online<'_>, which: &Which) -> Result<(), Stop> {
    let group = find(online, which)?;
    for member in online.messenger.members(group).await? {
        let line = json!({
            "account": member.person.account, "username": json::person(&member.person), "admin": member.admin,
            "devices": member.devices,
        });
        context.screen.result(&line, || {
            let devices = if member.devices == 1 {
                "1 device".to_owned()
            } else {
                format!("{} devices", member.devices)
            };
            let admin = if member.admin { ", admin" } else { "" };
            format!("{}  {devices}{admin}", human::person(&member.person))
        })?;
    }
    Ok(())
}
