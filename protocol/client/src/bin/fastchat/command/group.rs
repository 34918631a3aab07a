//! `fastchat group create|add|remove|leave|promote|demote|name|picture|retention|archive|members`

use crate::{
    args::username,
    context::Context,
    online::Online,
    rooms,
    stop::{Stop, file},
    terminal::{human, json, progress::Way},
};
use fastchat_client::{
    messenger::Messenger,
    problem::Problem,
    record::{self, Recipient},
};
use fastchat_e2e::{ConversationId, Username};
use serde_json::json;
use std::path::PathBuf;

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
    /// Give a group another name (admins only)
    #[command(after_long_help = help!("  fastchat group name '#team' \"the A team\""))]
    Name {
        /// Which group.
        #[command(flatten)]
        which: Which,
        /// What it is called; only its members can read that
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Give a group a picture (admins only), or save the one it has
    ///
    /// An image of at most 4 MiB, from which is taken out what a camera wrote into it. Only members can see it.
    #[command(after_long_help = help!(
"  fastchat group picture '#team' team.png
  fastchat group picture '#team' --save copy.png"))]
    Picture {
        /// Which group.
        #[command(flatten)]
        which: Which,
        /// The image
        #[arg(value_name = "FILE", required_unless_present = "save")]
        picture: Option<PathBuf>,
        /// Save the group's picture under this name, which must be free
        #[arg(long, value_name = "PATH", conflicts_with = "picture")]
        save: Option<PathBuf>,
    },
    /// Let messages disappear after a time, or stay (of a group: admins only; of a direct chat: either side)
    ///
    /// What is said from then on is deleted from all members' devices so long after it was written, and never archived. A
    /// device that is off deletes it when it starts. Files that were saved stay, and so does what was said before.
    #[command(after_long_help = help!(
"  fastchat group retention '#team' 7d
  fastchat group retention @bob 30m
  fastchat group retention @bob off"))]
    Retention {
        /// The group as '#name' (quoted), or @user
        #[arg(value_name = "#group|@user")]
        of: Recipient,
        /// A number with s, m, h, d or w behind it, at most 366d; or off
        #[arg(value_name = "TIME", value_parser = record::retention)]
        retention_s: u64,
    },
    /// Have a group archived for your new devices, or not (admins only)
    ///
    /// Members' devices keep what is said in the archive of their account, sealed for the devices that come later. With
    /// `off` what is said from then on is on the devices that read it, and nowhere else. What was archived stays.
    #[command(after_long_help = help!("  fastchat group archive '#team' off"))]
    Archive {
        /// Which group.
        #[command(flatten)]
        which: Which,
        /// From now on
        #[arg(value_name = "on|off", value_enum)]
        archive: Switch,
    },
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
    /// The group, as '#name' (quoted) or the end of its id
    #[arg(value_name = "#group")]
    group: Recipient,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Switch {
    /// It is archived
    On,
    /// It is not
    Off,
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

/// Each once, in the order in which they were named.
fn each_once(names: Vec<Username>) -> Vec<Username> {
    let mut once: Vec<Username> = Vec::with_capacity(names.len());
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
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
        Verb::Create { name, members } => create(context, online, &name, each_once(members)).await,
        Verb::Leave(which) => leave(context, online, &which).await,
        Verb::Add(people) => change(context, online, people, "added", async |m, group, who| m.add(group, who).await).await,
        Verb::Remove(people) => change(context, online, people, "removed", async |m, group, who| m.remove(group, who).await).await,
        Verb::Promote(people) => {
            change(context, online, people, "promoted", async |m, group, who| {
                m.promote(group, who).await
            })
            .await
        }
        Verb::Demote(people) => change(context, online, people, "demoted", async |m, group, who| m.demote(group, who).await).await,
        Verb::Name { which, name } => rename(context, online, &which, &name).await,
        Verb::Picture { which, picture, save } => picture_of(context, online, &which, picture, save).await,
        Verb::Retention { of, retention_s } => set_retention(context, online, &of, retention_s).await,
        Verb::Archive { which, archive } => set_archive(context, online, &which, archive).await,
        Verb::Members { which, .. } => members(context, online, &which).await,
    }
}

/// Finds a group that the profile knows.
fn find(online: &Online<'_>, which: &Which) -> Result<ConversationId, Problem> {
    if let Recipient::Person(name) = &which.group {
        let message = format!("@{name} is a person: name a group as '#name', quoted");
        return Err(Problem::Usage(message));
    }
    Ok(record::find(&online.profile().rooms()?, &which.group)?.conversation)
}

async fn create<'a>(context: &Context<'a>, online: &mut Online<'a>, name: &str, members: Vec<Username>) -> Result<(), Stop> {
    let name = name.strip_prefix('#').unwrap_or(name);
    let group = online.watch.during(online.messenger.create_group(name, &members)).await?;
    changed(context, online, group, "created", &members)
}

/// Changes who is in a group, or what they may do.
async fn change<'a>(
    context: &Context<'a>,
    online: &mut Online<'a>,
    people: Change,
    done: &str,
    work: impl AsyncFnOnce(&Messenger, ConversationId, &[Username]) -> Result<(), Problem>,
) -> Result<(), Stop> {
    let group = find(online, &people.which)?;
    let who = each_once(people.members);
    online.watch.during(work(&online.messenger, group, &who)).await?;
    changed(context, online, group, done, &who)
}

async fn leave<'a>(context: &Context<'a>, online: &mut Online<'a>, which: &Which) -> Result<(), Stop> {
    let group = find(online, which)?;
    online.watch.during(online.messenger.leave(group)).await?;
    changed(context, online, group, "left", &[])
}

async fn set_archive<'a>(context: &Context<'a>, online: &mut Online<'a>, which: &Which, archive: Switch) -> Result<(), Stop> {
    let group = find(online, which)?;
    let on = archive == Switch::On;
    online.watch.during(online.messenger.set_archive(group, on)).await?;
    let title = rooms::title(online.profile(), group)?;
    let line = json!({"conversation": group, "name": title, "type": "group", "archive": on});
    context.screen.result(&line, || {
        let title = human::brief(&title);
        match on {
            true => format!("{title} is archived for your new devices and those of the others"),
            false => format!("{title} is archived no longer; what was archived stays"),
        }
    })
}

async fn rename<'a>(context: &Context<'a>, online: &mut Online<'a>, which: &Which, name: &str) -> Result<(), Stop> {
    let group = find(online, which)?;
    online.watch.during(online.messenger.rename(group, name)).await?;
    let title = rooms::title(online.profile(), group)?;
    let line = json!({"conversation": group, "name": title, "type": "renamed"});
    context.screen.result(&line, || format!("it is {} now", human::brief(&title)))
}

async fn picture_of<'a>(
    context: &Context<'a>,
    online: &mut Online<'a>,
    which: &Which,
    picture: Option<PathBuf>,
    save: Option<PathBuf>,
) -> Result<(), Stop> {
    let group = find(online, which)?;
    let title = rooms::title(online.profile(), group)?;
    let bar = context.screen.progress();
    let (line, done) = match (picture, save) {
        (Some(path), _) => {
            let progress = bar.of(&path.to_string_lossy(), Way::Out);
            online.watch.during(online.messenger.set_picture(group, &path, progress)).await?;
            let line = json!({"conversation": group, "name": title, "type": "group", "picture": true});
            (line, format!("{} has a new picture", human::brief(&title)))
        }
        (None, Some(path)) => {
            let path = std::path::absolute(&path).map_err(|source| file(&path, source))?;
            let progress = bar.of(&path.to_string_lossy(), Way::In);
            online.watch.during(online.messenger.save_picture(group, &path, progress)).await?;
            let line = json!({"conversation": group, "name": title, "path": path});
            (line, human::path(&path))
        }
        (None, None) => return Err(Problem::Usage("name an image, or --save PATH".to_owned()).into()),
    };
    drop(bar);
    context.screen.result(&line, || done)
}

async fn set_retention<'a>(context: &Context<'a>, online: &mut Online<'a>, of: &Recipient, retention_s: u64) -> Result<(), Stop> {
    let conversation = record::find(&online.profile().rooms()?, of)?.conversation;
    online
        .watch
        .during(online.messenger.set_retention(conversation, retention_s))
        .await?;
    let title = rooms::title(online.profile(), conversation)?;
    let line = json!({"conversation": conversation, "name": title, "type": "group", "retention_s": retention_s});
    context.screen.result(&line, || {
        let title = human::brief(&title);
        match retention_s {
            0 => format!("{title}: what is said from now on stays"),
            seconds => format!("{title}: what is said from now on disappears after {}", record::duration(seconds)),
        }
    })
}

/// Says what was done.
fn changed(context: &Context<'_>, online: &Online<'_>, group: ConversationId, done: &str, who: &[Username]) -> Result<(), Stop> {
    let title = rooms::title(online.profile(), group)?;
    let accounts: Vec<&str> = who.iter().map(Username::as_str).collect();
    let line = json!({"conversation": group, "name": title, "type": done, "accounts": accounts});
    context.screen.result(&line, || {
        let names: Vec<String> = who.iter().map(|name| format!("@{name}")).collect();
        let (title, names) = (human::brief(&title), names.join(", "));
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
            "verified": member.verified, "devices": member.devices,
        });
        context.screen.result(&line, || {
            let devices = if member.devices == 1 {
                "1 device".to_owned()
            } else {
                format!("{} devices", member.devices)
            };
            let admin = if member.admin { ", admin" } else { "" };
            let verified = if member.verified { ", verified" } else { "" };
            format!("{}  {devices}{admin}{verified}", human::person(&member.person))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_named_twice_counts_once() {
        let names = ["bob", "carol", "bob"].map(|name| name.parse().unwrap());
        let once: Vec<String> = each_once(names.into()).iter().map(ToString::to_string).collect();
        assert_eq!(once, ["bob", "carol"]);
    }
}
