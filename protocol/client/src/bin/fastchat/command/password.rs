//! `fastchat password`

use crate::{context::Context, stop::Stop, terminal::prompt};
use fastchat_client::account;
use serde_json::json;
use std::sync::Arc;

/// Change the account's password
///
/// Asks for the old password, or takes FASTCHAT_PASSWORD; with --recovery for the recovery code. Then for the new one,
/// twice, or takes FASTCHAT_NEW_PASSWORD.
///
/// Nothing else changes: your devices stay signed in, your history stays readable, the recovery code stays good.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat password
  fastchat password --recovery                  for who forgot the old one"))]
pub(crate) struct Args {
    /// Prove who you are with the recovery code, for who forgot the password
    #[arg(long)]
    recovery: bool,
}

pub(crate) async fn run(context: &Context<'_>, args: &Args) -> Result<(), Stop> {
    let profile = Arc::new(context.profile()?);
    let config = context.config(Some(&profile))?;
    let proof = prompt::proof(args.recovery)?;
    let next = prompt::next_password()?;
    context.screen.confirm("changing the password…");
    let me = account::change_password(&config, &profile, proof, next).await?;
    context.keep_balancer(&profile);
    let line = json!({"account": me.account, "username": me.username.as_str(), "changed": true});
    context.screen.result(&line, || {
        format!("The password of @{} is changed. Devices that are signed in stay so.", me.username)
    })
}
