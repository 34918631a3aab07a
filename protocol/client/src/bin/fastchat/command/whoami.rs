//! `fastchat whoami`

use crate::{context::Context, stop::Stop, terminal::human};
use fastchat_client::{Ended, problem::Problem};
use serde_json::json;

/// Say whose device this profile is
///
/// Reads the profile only: it works without a server, and signed out.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat whoami
  fastchat --profile bot whoami --json | jq -r .username"))]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context<'_>, _args: &Args) -> Result<(), Stop> {
    let profile = context.profile()?;
    let Some(me) = profile.me()? else {
        return Err(Problem::Ended(Ended::NoToken).into());
    };
    let signed_in = profile.is_signed_in()?;
    let balancer = context.config(Some(&profile))?.balancers.first().map(ToString::to_string);
    let line = json!({
        "account": me.account, "device": me.device, "username": me.username.as_str(), "signed_in": signed_in,
        "profile": context.folder.to_string_lossy(), "balancer": balancer,
    });
    context.screen.result(&line, || {
        format!(
            "@{}\naccount    {}\ndevice     {}\nprofile    {}\nbalancer   {}\nsigned in  {}",
            me.username,
            me.account,
            me.device,
            human::path(&context.folder),
            balancer.unwrap_or_default(),
            if signed_in { "yes" } else { "no: run `fastchat login`" }
        )
    })
}
