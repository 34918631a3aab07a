//! `assign`: how often a balancer can say where to go.

use super::repeat;
use crate::{
    args::{self, Common},
    line::Line,
    report::Report,
    stage::{Stage, Timing},
    trouble::Trouble,
};
use fastchat_wire::{Block, chat::assign::Assign};
use std::rc::Rc;

/// Asks the balancer for a server, on a new connection each time
///
/// Each assign reserves a place for ten seconds that nobody takes: with many of them the balancer believes that its
/// servers are full of newcomers, and who resumes waits for them. Leave it alone for a while before the next run.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!("  fastchat-load assign --concurrency 64 --seconds 10 --json"))]
pub(crate) struct Args {
    /// Connections at once
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
    let mut stage = Stage::set(common, args.concurrency).await?;
    let balancer = stage.entrance.balancer()?;
    let (pool, way) = (Rc::clone(&stage.entrance.pool), stage.entrance.way.clone());
    let workers = vec![(); args.concurrency];
    repeat::run(&mut stage, "assign", args.timing, workers, async move |()| {
        let mut line = Line::dial(&way, balancer).await?;
        // As one who comes back: what servers take in of those is by far the most.
        let assign = Assign {
            resume: true,
            ..Assign::default()
        };
        line.ask(&pool, &assign, &Block::none()).await?;
        line.reset()
    })
    .await
}
