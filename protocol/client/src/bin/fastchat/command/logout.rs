//! `fastchat logout`

use crate::{context::Context, stop::Stop, terminal::human};
use fastchat_client::{Ended, account, problem::Problem};
use serde_json::json;
use std::sync::Arc;

/// End this device's session
///
/// The servers forget the session at once. What this device has received stays in the profile and can still be read
/// (`fastchat history`); `fastchat login` makes it the same device again. To be rid of the history, delete the
/// profile's folder, which `fastchat whoami` names.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat logout
  fastchat logout --everywhere                  a device was lost: end the sessions of all of them"))]
pub(crate) struct Args {
    /// End the sessions of all of the account's devices
    #[arg(long)]
    everywhere: bool,
}

pub(crate) async fn run(context: &Context<'_>, args: &Args) -> Result<(), Stop> {
    let profile = Arc::new(context.profile()?);
    let Some(me) = profile.me()? else {
        return Err(Problem::Ended(Ended::NoToken).into());
    };
    if profile.is_signed_in()? {
        account::logout(&context.config(Some(&profile))?, &profile, args.everywhere).await?;
        context.keep_balancer(&profile);
    } else if args.everywhere {
        return Err(Problem::Ended(Ended::NoToken).into());
    } else {
        context.screen.note("this device was signed out already");
    }
    let line = json!({
        "account": me.account, "device": me.device, "username": me.username.as_str(), "signed_in": false,
        "everywhere": args.everywhere,
    });
    context.screen.result(&line, || {
        let name = &me.username;
        let folder = human::path(&context.folder);
        format!(
            "@{name} is signed out{}. The history stays in {folder}:\n\
             `fastchat history` still shows it, `fastchat login {name}` makes this the same device again, and deleting\n\
             the folder deletes it for good.",
            if args.everywhere { " on all devices" } else { "" }
        )
    })
}
