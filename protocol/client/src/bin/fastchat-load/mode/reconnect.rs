//! `reconnect`: how fast clients come back after a crash.

use super::repeat;
use crate::{
    args::{self, Common},
    report::Report,
    stage::{Stage, Timing},
    trouble::Trouble,
};
use std::rc::Rc;

/// Signs in with a session's token, on a new connection each time
///
/// Each of them: assign at the balancer (not with --server), the wait that it imposes, hello, resume, close.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat-load reconnect --concurrency 64 --json
  fastchat-load reconnect --server 127.0.0.1:7110 --accounts ~/load"))]
pub(crate) struct Args {
    /// Clients at once, each with an account of its own
    #[arg(long, value_name = "N", default_value = "64", value_parser = args::count)]
    concurrency: usize,
    #[command(flatten)]
    timing: Timing,
}

/// Runs it.
///
/// # Errors
/// The fleet is not there.
pub(crate) async fn run(common: &Common, args: &Args) -> Result<Report, Trouble> {
    let mut stage = Stage::set(common, args.concurrency * 2).await?;
    let entrance = Rc::clone(&stage.entrance);
    let accounts = stage.accounts(args.concurrency).await?;
    // Tokens that were replaced since the last run are, once and before it is measured.
    for (seat, account) in accounts.iter_mut().enumerate() {
        entrance.patiently(async || entrance.sign_in(seat, account, None).await).await?;
    }
    let workers: Vec<_> = accounts.iter().cloned().enumerate().collect();
    stage.book.save()?;
    repeat::run(&mut stage, "reconnect", args.timing, workers, async move |(seat, account)| {
        entrance.sign_in(*seat, account, None).await?.reset()
    })
    .await
}
