//! `signin`: how many logins with a password a fleet takes.

use super::repeat;
use crate::{
    args::{self, Common},
    report::Report,
    stage::{Stage, Timing},
    trouble::Trouble,
};
use std::{cell::RefCell, rc::Rc};

/// Logs in with the password's key, on a new connection each time
///
/// A server computes Argon2id for each login, at most one for each core at a time, and answers `overloaded` where too
/// many wait: those are counted as errors and tried again.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!("  fastchat-load signin --concurrency 8 --accounts ~/load --json"))]
pub(crate) struct Args {
    /// Clients at once, each with an account of its own
    #[arg(long, value_name = "N", default_value = "8", value_parser = args::count)]
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
    let accounts = stage.accounts(args.concurrency).await?.to_vec();
    // A login ends the device's oldest session: the book learns the newest.
    let newest = Rc::new(RefCell::new(accounts.clone()));
    let kept = Rc::clone(&newest);
    let workers: Vec<_> = accounts.into_iter().enumerate().collect();
    let report = repeat::run(&mut stage, "signin", args.timing, workers, async move |(seat, account)| {
        let mut line = entrance.greeted(*seat, false).await?;
        entrance.login(&mut line, account).await?;
        kept.borrow_mut()[*seat].token = account.token.clone();
        line.reset()
    })
    .await?;
    stage.accounts(args.concurrency).await?.clone_from_slice(&newest.borrow());
    stage.book.save()?;
    Ok(report)
}
