//! `fastchat login NAME`

use super::DEVICE_NAME;
use crate::{args::username, context::Context, stop::Stop, terminal::prompt};
use fastchat_client::{
    account::{self, Proof},
    profile::Me,
};
use fastchat_e2e::Username;
use serde_json::json;

/// Sign in to an account that exists
///
/// In a new profile this makes a new device of the account. In a profile that was signed out it is the same device
/// again, with its history.
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
    let proof = if args.recovery {
        Proof::RecoveryCode(prompt::recovery_code()?)
    } else {
        Proof::Password(prompt::password()?)
    };
    context.screen.confirm("signing in…");
    let (profile, me) = account::login(&config, &context.folder, args.name.as_str(), proof, &args.device_name).await?;
    context.keep_balancer(&profile);
    let Me { account, device, username } = me;
    let line = json!({"account": account, "device": device, "username": username.as_str()});
    context
        .screen
        .result(&line, || format!("Signed in as @{username}. `fastchat listen` shows what arrives."))
}
