//! `fastchat login NAME`

use super::{DEVICE_NAME, restore};
use crate::{
    args::username,
    context::Context,
    stop::Stop,
    terminal::{json, prompt},
};
use fastchat_client::{account, profile::Me};
use fastchat_e2e::Username;
use serde_json::json;

/// Sign in to an account that exists
///
/// In a new profile this makes a new device of the account, and brings its history back from the account's archive,
/// newest first. What is interrupted `fastchat restore` goes on with. In a profile that was signed out it is the same
/// device again, with its history.
///
/// Asks for the password, or takes FASTCHAT_PASSWORD; with --recovery for the recovery code, or takes
/// FASTCHAT_RECOVERY_CODE.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat login alice
  fastchat --profile laptop login alice --device-name laptop
  fastchat login alice --recovery"))]
pub(crate) struct Args {
    /// The username
    #[arg(value_name = "NAME", value_parser = username)]
    name: Username,
    /// Sign in with the recovery code, for who forgot the password
    #[arg(long)]
    recovery: bool,
    /// What this device is called in the list of your devices; your contacts don't see it
    #[arg(long, value_name = "TEXT", default_value = DEVICE_NAME)]
    device_name: String,
}

pub(crate) async fn run(context: &Context<'_>, args: Args) -> Result<(), Stop> {
    let config = context.config(context.profile().ok().as_ref())?;
    let proof = prompt::proof(args.recovery)?;
    context.screen.confirm("signing in…");
    let (profile, me) = account::login(&config, &context.folder, args.name.as_str(), proof, &args.device_name).await?;
    context.keep_balancer(&profile);
    let Me { account, device, username } = me;
    if !context.screen.is_json() {
        let forgotten = if args.recovery {
            " `fastchat password --recovery` sets a new password."
        } else {
            ""
        };
        context.screen.print(&format!(
            "Signed in as @{username}.{forgotten} `fastchat listen` shows what arrives."
        ))?;
    }
    let restored = match restore::bring_back(context, &profile).await {
        Ok(receipt) => receipt,
        // Signed in all the same.
        Err(problem) => {
            context
                .screen
                .note(&format!("the history is not whole yet: {problem} (`fastchat restore` goes on)"));
            None
        }
    };
    if !context.screen.is_json() {
        return restored.map_or(Ok(()), |receipt| restore::show(context, &receipt));
    }
    let mut line = json!({"account": account, "device": device, "username": username.as_str()});
    if let Some(receipt) = &restored {
        line["restore"] = json::receipt(receipt);
    }
    context.screen.object(&line)
}
