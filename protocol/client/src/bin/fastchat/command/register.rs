//! `fastchat register NAME`

use super::DEVICE_NAME;
use crate::{args::username, context::Context, stop::Stop, terminal::prompt};
use anstyle::{AnsiColor, Style};
use fastchat_client::{
    account::{self, Registered},
    problem::Problem,
};
use fastchat_e2e::{StoreError, Username};
use serde::Serialize;
use std::fmt::Write;
use zeroize::Zeroizing;

const CODE: Style = AnsiColor::Yellow.on_default().bold();

/// Open an account; this profile becomes its first device
///
/// Asks for a password twice, or takes FASTCHAT_PASSWORD. The password never leaves this device: the servers get what
/// lets them recognise it, and can't open anything with that.
///
/// Shows the account's recovery code, this one time. It is the only way back in for who forgets the password.
///
/// A profile that is in use is not touched: choose another one with --profile.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat register alice
  fastchat --profile bot register echo-bot --json < /dev/null"))]
pub(crate) struct Args {
    /// The username: 1 to 32 of a-z 0-9 . _ - , beginning with a letter or digit
    #[arg(value_name = "NAME", value_parser = username)]
    name: Username,
    /// What this device is called in the list of your devices; your contacts see it when it is new
    #[arg(long, value_name = "TEXT", default_value = DEVICE_NAME)]
    device_name: String,
}

#[derive(Serialize)]
struct Line<'a> {
    account: String,
    device: String,
    username: &'a str,
    recovery_code: &'a str,
}

pub(crate) async fn run(context: &Context<'_>, args: Args) -> Result<(), Stop> {
    // Before a password is typed for nothing.
    match context.profile() {
        // A registration that got no answer left no owner: it may be finished.
        Ok(profile) if profile.me()?.is_none() => {}
        Ok(_) => {
            let path = context.folder.clone();
            return Err(StoreError::Exists { path }.into());
        }
        Err(Problem::Store(StoreError::Missing { .. })) => {}
        Err(problem) => return Err(problem.into()),
    }
    let password = prompt::new_password()?;
    let config = context.config(None)?;
    context.screen.confirm("opening the account…");
    let registered = account::register(&config, &context.folder, args.name.as_str(), password, &args.device_name).await?;
    context.keep_balancer(&registered.profile);
    show(context, &registered)
}

fn show(context: &Context<'_>, registered: &Registered) -> Result<(), Stop> {
    let me = &registered.me;
    let code = registered.recovery_code.show();
    if context.screen.is_json() {
        return context.screen.object(&Line {
            account: me.account.to_string(),
            device: me.device.to_string(),
            username: me.username.as_str(),
            recovery_code: &code,
        });
    }
    let name = &me.username;
    let mut text = Zeroizing::new(String::with_capacity(1024));
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "Welcome, @{name}. This device is signed in.\n\
         \n\
         Your recovery code, which is shown this once:\n\
         \n    {CODE}{}{CODE:#}\n\n\
         Write it down and keep it in a safe place, away from this device. Who forgets the password\n\
         gets back in with it (fastchat login {name} --recovery), and in no other way: nobody else can\n\
         open the account, not even who runs the servers. Whoever has the code can.",
        code.as_str()
    );
    context.screen.print(&text)
}
