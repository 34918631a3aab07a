//! `fastchat restore`

use crate::{
    context::Context,
    stop::Stop,
    terminal::{json, prompt, safe},
};
use fastchat_client::{account, problem::Problem, profile::Profile, receipt::Receipt};
use std::sync::Arc;

/// Bring the history back from the account's archive
///
/// Goes on with what a login began and was interrupted in. Where nothing was, it asks for the password (or with
/// --recovery for the recovery code) and reads the archive anew: what other devices have archived since comes, too.
/// What is here already stays as it is.
///
/// Ends with a receipt: how many of how many messages there are, and what is missing and why; then the exit code is 5. Groups whose admins have
/// switched the archive off, and messages that disappear, are not in the archive.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat restore
  fastchat restore --json | jq .complete"))]
pub(crate) struct Args {
    /// Where it has to ask: for the recovery code, not the password
    #[arg(long)]
    recovery: bool,
}

pub(crate) async fn run(context: &Context<'_>, args: &Args) -> Result<(), Stop> {
    let profile = Arc::new(context.profile()?);
    if !profile.is_restoring()? {
        let config = context.config(Some(&profile))?;
        let proof = prompt::proof(args.recovery)?;
        context.screen.confirm("signing in…");
        account::begin_restore(&config, &profile, proof).await?;
        context.keep_balancer(&profile);
    }
    let receipt = bring_back(context, &profile).await?.unwrap_or_default();
    show(context, &receipt)?;
    whole(receipt.is_complete())
}

/// Scripts see by the exit code whether all of the history is there.
pub(super) fn whole(is_whole: bool) -> Result<(), Stop> {
    if is_whole { Ok(()) } else { Err(Stop::Incomplete) }
}

/// Waits, with a bar, until the archive was read. None where there is nothing to restore.
pub(super) async fn bring_back(context: &Context<'_>, profile: &Arc<Profile>) -> Result<Option<Receipt>, Problem> {
    if !profile.is_restoring()? {
        return Ok(None);
    }
    let mut online = context.online_as(profile)?;
    let restored = match online.ready().await {
        Ok(()) => {
            let bar = context.screen.progress();
            let work = online.messenger.restored(bar.of_restore());
            online.watch.during(work).await
        }
        Err(problem) => Err(problem),
    };
    online.close().await;
    restored
}

/// The receipt, for who asked.
pub(super) fn show(context: &Context<'_>, receipt: &Receipt) -> Result<(), Stop> {
    context.screen.result(&json::receipt(receipt), || text(receipt))
}

/// The receipt, a line for each trouble.
pub(super) fn text(receipt: &Receipt) -> String {
    let troubles = receipt.troubles();
    let lines = std::iter::once(receipt.to_string()).chain(troubles.iter().map(|trouble| safe::line(trouble)));
    lines.collect::<Vec<_>>().join("\n")
}
