//! `fastchat devices`

use crate::{context::Context, online::Online, stop::Stop, terminal::human};
use anstyle::{AnsiColor, Style};
use fastchat_client::{messenger::OwnDevice, problem::Problem};
use fastchat_e2e::DeviceId;
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use serde_json::json;

const NAME: Style = AnsiColor::Cyan.on_default();
const DETAIL: Style = Style::new().dimmed();

/// List, name and remove the devices of your account
///
/// Each profile that has signed in is a device: it has keys of its own, and reads all of the account's conversations.
/// A device that is lost or given away is to be removed, from any other one.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_long_help = help!(
"  fastchat devices
  fastchat devices rename 'fastchat in a terminal' laptop
  fastchat devices remove phone
  fastchat devices --json | jq -r .name"))]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What to do with one.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Give a device another name
    ///
    /// The name stands in the list of your devices, and your contacts see it when the device is new.
    #[command(after_long_help = help!(
"  fastchat devices rename 'fastchat in a terminal' laptop
  fastchat devices rename 0198c5a0 phone"))]
    Rename {
        /// The device: its name, or its id or the beginning or end of that
        #[arg(value_name = "NAME|ID")]
        device: String,
        /// What it is to be called
        #[arg(value_name = "NEW-NAME")]
        name: String,
    },
    /// Send a device away, for good
    ///
    /// Its session ends at once, it reads nothing that is said from then on, and it can't come back: to use that
    /// machine again, sign in with a new profile. What it has received already it keeps.
    #[command(after_long_help = help!(
"  fastchat devices remove phone
  fastchat devices remove 0198c5a0-0000-7000-8000-00000000d002"))]
    Remove {
        /// The device: its name, or its id or the beginning or end of that
        #[arg(value_name = "NAME|ID")]
        device: String,
    },
}

#[derive(Serialize)]
struct Line<'a> {
    device: DeviceId,
    name: &'a str,
    created_at: u64,
    this: bool,
    keys: bool,
}

pub(crate) async fn run(context: &Context<'_>, args: Args) -> Result<(), Stop> {
    let mut online = context.online()?;
    online.ready().await?;
    let outcome = match args.verb {
        None => list(context, &online).await,
        Some(Verb::Rename { device, name }) => rename(context, &online, &device, &name).await,
        Some(Verb::Remove { device }) => remove(context, &mut online, &device).await,
    };
    online.close().await;
    outcome
}

async fn list(context: &Context<'_>, online: &Online<'_>) -> Result<(), Stop> {
    for device in online.messenger.devices().await? {
        let line = Line {
            device: device.device,
            name: &device.name,
            created_at: device.created_at_ms,
            this: device.is_this,
            keys: device.has_keys,
        };
        context.screen.result(&line, || text(&device))?;
    }
    Ok(())
}

async fn rename(context: &Context<'_>, online: &Online<'_>, wanted: &str, name: &str) -> Result<(), Stop> {
    let device = find(&online.messenger.devices().await?, wanted)?;
    online.messenger.rename_device(device.device, name).await?;
    let line = json!({"device": device.device, "name": name});
    context.screen.result(&line, || {
        format!("{} is called {} now.", human::brief(&device.name), human::brief(name))
    })
}

async fn remove(context: &Context<'_>, online: &mut Online<'_>, wanted: &str) -> Result<(), Stop> {
    let device = find(&online.messenger.devices().await?, wanted)?;
    context.screen.confirm("removing it from your conversations…");
    let removing = online.messenger.remove_device(device.device);
    let conversations = online.watch.during(removing).await?;
    let line = json!({"device": device.device, "name": device.name, "removed": true, "conversations": conversations});
    context.screen.result(&line, || {
        format!(
            "{} is removed: it is signed out, and reads nothing that is said from now on.",
            human::brief(&device.name)
        )
    })
}

/// The device that a person means.
fn find(devices: &[OwnDevice], wanted: &str) -> Result<OwnDevice, Problem> {
    let id = wanted.to_ascii_lowercase();
    let is_id = |device: &OwnDevice| {
        let own = device.device.to_string();
        id.len() >= fastchat_client::record::SHORT_ID_CHARS.min(8) && (own.starts_with(&id) || own.ends_with(&id))
    };
    let named: Vec<&OwnDevice> = devices.iter().filter(|device| device.name == wanted).collect();
    let meant = match named.is_empty() {
        true => devices.iter().filter(|device| is_id(device)).collect(),
        false => named,
    };
    match meant[..] {
        [one] => Ok(one.clone()),
        [] => Err(Problem::declined(
            "not-found",
            format!("the account has no device \"{}\": see `fastchat devices`", human::brief(wanted)),
        )),
        _ => {
            let ids: Vec<String> = meant.iter().map(|device| device.device.to_string()).collect();
            Err(Problem::declined(
                "ambiguous",
                format!(
                    "several devices are meant by \"{}\": name one by its id: {}",
                    human::brief(wanted),
                    ids.join(", ")
                ),
            ))
        }
    }
}

fn text(device: &OwnDevice) -> String {
    let since = i64::try_from(device.created_at_ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let since = since.map(|at| at.to_zoned(TimeZone::system()).strftime("since %-d %B %Y, %H:%M").to_string());
    let mut details: Vec<&str> = since.as_deref().into_iter().collect();
    if device.is_this {
        details.push("this device");
    }
    if !device.has_keys {
        details.push("never finished signing in");
    }
    format!(
        "{NAME}{}{NAME:#}  {DETAIL}{}\n  {}{DETAIL:#}",
        human::brief(&device.name),
        details.join(", "),
        device.device
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: u8, name: &str) -> OwnDevice {
        OwnDevice {
            device: DeviceId([id; 16]),
            name: name.to_owned(),
            created_at_ms: 1,
            is_this: id == 1,
            has_keys: id != 3,
        }
    }

    #[test]
    fn a_device_is_meant_by_its_name_or_by_an_end_of_its_id() {
        let devices = [device(1, "laptop"), device(2, "phone"), device(3, "phone"), device(4, "01010101")];
        assert_eq!(find(&devices, "laptop").unwrap().device, DeviceId([1; 16]));
        assert_eq!(find(&devices, "02020202").unwrap().device, DeviceId([2; 16]));
        assert_eq!(
            find(&devices, &DeviceId([3; 16]).to_string().to_uppercase()).unwrap().device,
            DeviceId([3; 16])
        );
        assert_eq!(find(&devices, "01010101").unwrap().device, DeviceId([4; 16]), "a name counts first");
        let ambiguous = find(&devices, "phone").unwrap_err();
        assert_eq!(ambiguous.code(), "ambiguous");
        assert!(ambiguous.to_string().contains(&DeviceId([3; 16]).to_string()), "{ambiguous}");
        for nobody in ["tablet", "", "0202", "Laptop"] {
            assert_eq!(find(&devices, nobody).unwrap_err().code(), "not-found", "{nobody:?}");
        }
    }

    #[test]
    fn this_device_and_those_without_keys_are_marked() {
        assert!(text(&device(1, "laptop")).contains("this device"));
        assert!(text(&device(3, "phone")).contains("never finished signing in"));
        assert!(!text(&device(2, "phone")).contains("this device"));
    }
}
