//! `fastchat login NAME`

use super::{DEVICE_NAME, restore};
use crate::{
    args::username,
    context::Context,
    stop::Stop,
    terminal::{json, prompt},
};
use fastchat_client::{
    account,
    profile::{Me, Profile},
    receipt::Receipt,
};
use fastchat_e2e::Username;
use serde_json::json;
use std::sync::Arc;

/// Sign in to an account that exists
///
/// In a new profile this makes a new device of the account. It joins all of the account's conversations by itself (nobody
/// else has to be online), and brings the history back from the account's archive, newest first; where that is
/// interrupted, `fastchat restore` goes on (exit code 5: signed in, and not all of it came back). In a profile that was signed out it is the same device again, with its history.
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
    /// What this device is called in the list of your devices; your contacts see it when it is new
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
    // First: what the archive says of a conversation is known when it is joined.
    let (restored, is_whole) = match restore::bring_back(context, &profile).await {
        Ok(receipt) => {
            let is_whole = receipt.as_ref().is_none_or(Receipt::is_complete);
            (receipt, is_whole)
        }
        // Signed in all the same.
        Err(problem) => {
            context
                .screen
                .note(&format!("the history is not whole yet: {problem} (`fastchat restore` goes on)"));
            (None, false)
        }
    };
    let joined = join(context, &profile).await;
    let mut line = json!({"account": account, "device": device, "username": username.as_str(), "conversations": joined});
    if let Some(receipt) = &restored {
        line["restore"] = json::receipt(receipt);
    }
    context.screen.result(&line, || {
        let mut text = format!("Signed in as @{username}.");
        match joined {
            0 => {}
            1 => text.push_str(" This device is in 1 conversation."),
            joined => text.push_str(&format!(" This device is in {joined} conversations.")),
        }
        if args.recovery {
            text.push_str(" `fastchat password --recovery` sets a new password.");
        }
        text.push_str(" `fastchat listen` shows what arrives.");
        if let Some(receipt) = &restored {
            text.push_str(&format!("\n{}", restore::text(receipt)));
        }
        text
    })?;
    restore::whole(is_whole)
}

/// Comes into all of the account's conversations; gives in how many this device is. It is signed in already: what
/// fails here is done by the next command that is online.
async fn join(context: &Context<'_>, profile: &Arc<Profile>) -> usize {
    let mut online = match context.online_as(profile) {
        Ok(online) => online,
        Err(problem) => {
            context.screen.note(&format!("the conversations are joined later: {problem}"));
            return 0;
        }
    };
    if let Err(problem) = online.ready().await {
        context.screen.note(&format!(
            "not all conversations are joined yet, the next command goes on: {problem}"
        ));
    }
    let rooms = online.profile().rooms().unwrap_or_default();
    online.close().await;
    rooms.iter().filter(|room| !room.out).count()
}
