//! `fastchat group create|add|remove|leave|promote|demote|name|picture|retention|archive|members`

use super::names::{self, Names};
use crate::{
    context::Context,
    online::Online,
    rooms,
    stop::{Stop, file},
    terminal::{
        human, json,
        progress::{Progress, Way},
    },
};
use fastchat_client::{
    messenger::Messenger,
    problem::Problem,
    record::{self, Recipient, Whom},
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
  fastchat group create \"book club\" @bob --json | jq -r .conversation
  fastchat group create everybody --members-from names.txt"))]
    Create {
        /// What it is called; only its members can read that
        #[arg(value_name = "NAME")]
        name: String,
        /// Who is in it, beside you.
        #[command(flatten)]
        members: Names,
    },
    /// Add members (admins only)
    #[command(after_long_help = help!(
"  fastchat group add '#team' @dave @erin
  sort -u staff.txt | fastchat group add '#team' --members-from -"))]
    Add(Change),
    /// Remove members (admins only)
    ///
    /// Where two members go by one name, or one by the name of somebody who is not in, `group members` shows an id behind
    /// it: @dave/ID removes that one.
    #[command(after_long_help = help!(
"  fastchat group remove '#team' @dave
  fastchat group remove '#team' @dave/ef49edb44707"))]
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
    /// Who.
    #[command(flatten)]
    members: Names,
}

/// A verb, and the people whom it is about.
type Task = (Verb, Vec<Whom>);

pub(crate) async fn run(context: &Context<'_>, verb: Verb) -> Result<(), Stop> {
    let task = read_names(verb).await?;
    let mut online = context.online()?;
    let outcome = act(context, &mut online, task).await;
    online.close().await;
    outcome
}

/// Reads them before anything is asked of the fleet.
async fn read_names(mut verb: Verb) -> Result<Task, Stop> {
    let (names, may_be_none) = match &mut verb {
        Verb::Create { members, .. } => (std::mem::take(members), true),
        Verb::Add(people) | Verb::Remove(people) | Verb::Promote(people) | Verb::Demote(people) => {
            (std::mem::take(&mut people.members), false)
        }
        Verb::Leave(_)
        | Verb::Name { .. }
        | Verb::Picture { .. }
        | Verb::Retention { .. }
        | Verb::Archive { .. }
        | Verb::Members { .. } => return Ok((verb, Vec::new())),
    };
    let who = names.read().await?;
    if who.is_empty() && !may_be_none {
        return Err(Problem::Usage("nobody is named: say who, as @user or with --members-from".to_owned()).into());
    }
    Ok((verb, who))
}

async fn act<'a>(context: &Context<'a>, online: &mut Online<'a>, (verb, who): Task) -> Result<(), Stop> {
    if let Verb::Members { which, offline } = &verb {
        if !offline {
            online.refresh().await;
        }
        return members(context, online, which).await;
    }
    online.ready().await?;
    match verb {
        Verb::Create { name, .. } => create(context, online, &name, who).await,
        Verb::Leave(which) => leave(context, online, &which).await,
        Verb::Add(to) => {
            let group = find(online, &to.which)?;
            let newcomers = names::newcomers(&who)?;
            let bar = look_up(context, online, &newcomers).await?;
            bar.waits_for(format!("adding {}", names::brief(&who)));
            online.watch.during(online.messenger.add(group, &newcomers)).await?;
            drop(bar);
            changed(context, online, group, "added", &who)
        }
        Verb::Remove(of) => {
            change(context, online, &of.which, &who, "removed", async |m, group, who| {
                m.remove(group, who).await
            })
            .await
        }
        Verb::Promote(of) => {
            change(context, online, &of.which, &who, "promoted", async |m, group, who| {
                m.promote(group, who).await
            })
            .await
        }
        Verb::Demote(of) => {
            change(context, online, &of.which, &who, "demoted", async |m, group, who| {
                m.demote(group, who).await
            })
            .await
        }
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

async fn create<'a>(context: &Context<'a>, online: &mut Online<'a>, name: &str, members: Vec<Whom>) -> Result<(), Stop> {
    let name = name.strip_prefix('#').unwrap_or(name);
    let newcomers = names::newcomers(&members)?;
    let bar = look_up(context, online, &newcomers).await?;
    bar.waits_for(format!("making #{} with {}", human::brief(name), names::brief(&members)));
    let group = online.watch.during(online.messenger.create_group(name, &newcomers)).await?;
    drop(bar);
    changed(context, online, group, "created", &members)
}

/// Makes sure that all of them are known, with a bar: a thousand look-ups take a while.
async fn look_up<'a>(context: &Context<'a>, online: &mut Online<'a>, who: &[Username]) -> Result<Progress, Problem> {
    let bar = context.screen.progress();
    let work = online.messenger.acquaint_all(who, bar.of_people(who.len()));
    online.watch.during(work).await?;
    Ok(bar)
}

/// Changes who is in a group, or what they may do.
async fn change<'a>(
    context: &Context<'a>,
    online: &mut Online<'a>,
    which: &Which,
    who: &[Whom],
    done: &str,
    work: impl AsyncFnOnce(&Messenger, ConversationId, &[Whom]) -> Result<(), Problem>,
) -> Result<(), Stop> {
    let group = find(online, which)?;
    online.watch.during(work(&online.messenger, group, who)).await?;
    changed(context, online, group, done, who)
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
fn changed(context: &Context<'_>, online: &Online<'_>, group: ConversationId, done: &str, who: &[Whom]) -> Result<(), Stop> {
    let title = rooms::title(online.profile(), group)?;
    let accounts: Vec<String> = who.iter().map(Whom::bare).collect();
    let line = json!({"conversation": group, "name": title, "type": done, "accounts": accounts});
    context.screen.result(&line, || {
        let (title, names) = (human::brief(&title), names::brief(who));
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
        let mut line = json!({
            "account": member.person.account, "username": json::person(&member.person), "admin": member.admin,
            "verified": member.verified, "devices": member.devices,
        });
        if member.disputed {
            line["disputed"] = true.into();
        }
        context.screen.result(&line, || {
            let devices = if member.devices == 1 {
                "1 device".to_owned()
            } else {
                format!("{} devices", member.devices)
            };
            let admin = if member.admin { ", admin" } else { "" };
            let verified = if member.verified { ", verified" } else { "" };
            let who = match member.disputed {
                true => Whom::exactly(&member.person).to_string(),
                false => human::person(&member.person),
            };
            format!("{who}  {devices}{admin}{verified}")
        })?;
    }
    Ok(())
}
