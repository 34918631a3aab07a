//! `idle`: connections that do nothing, and what each of them costs.

use crate::{
    args::{self, Common},
    book::Account,
    line::{Line, Pool},
    report::Report,
    stage::{Stage, Timing},
    trouble::Trouble,
};
use fastchat_wire::{Block, chat::ping::Ping};
use futures::{StreamExt, TryStreamExt, stream};
use std::{rc::Rc, time::Duration};
use tokio::{task::JoinSet, time::sleep};

/// Connections that sign in at once.
const AT_ONCE: usize = 16;
/// A connection that is silent for 60 s is closed by the server.
const PING: Duration = Duration::from_secs(25);

/// Holds signed-in connections and measures the memory of each
///
/// Needs the servers' process ids (--admin-url with --token-file, or --pid server=PID) on this machine. Measured is
/// the servers' private memory with the connections, less what it was before; a fleet that has just been started is
/// best, because memory that a server once had is used again.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat-load idle --connections 5000 --pid server=4711 --server 127.0.0.1:7110 --json
  fastchat-load idle --connections 10000 --per-account 8 --accounts ~/load"))]
pub(crate) struct Args {
    /// How many connections
    #[arg(long, value_name = "N", default_value = "1000", value_parser = args::count)]
    connections: usize,
    /// Connections that share an account and its session
    #[arg(long, value_name = "N", default_value = "1", value_parser = args::count)]
    per_account: usize,
    #[command(flatten)]
    timing: Timing,
}

/// Runs it.
///
/// # Errors
/// The fleet refuses.
pub(crate) async fn run(common: &Common, args: &Args) -> Result<Report, Trouble> {
    let mut stage = Stage::set(common, args.connections).await?;
    let entrance = Rc::clone(&stage.entrance);
    let pool = Rc::clone(&entrance.pool);
    let count = args.connections.div_ceil(args.per_account);
    // Registering makes a server use memory too, which is not the connections': so it comes before the first look.
    stage.accounts(count).await?;
    let before = stage.server_memory();
    let accounts = stage.accounts(count).await?;
    let groups = accounts.iter_mut().enumerate().map(|(group, account)| {
        let seats = group * args.per_account..((group + 1) * args.per_account).min(args.connections);
        let entrance = Rc::clone(&entrance);
        (seats, account, entrance)
    });
    let groups: Vec<_> = groups.collect();
    let opening = stream::iter(groups)
        .map(|(seats, account, entrance)| async move {
            let mut lines = Vec::with_capacity(seats.len());
            for seat in seats {
                let account: &mut Account = account;
                lines.push(entrance.patiently(async || entrance.sign_in(seat, account, None).await).await?);
            }
            Ok::<_, Trouble>(lines)
        })
        .buffer_unordered(AT_ONCE);
    let lines: Vec<Vec<Line>> = opening.try_collect().await?;
    stage.book.save()?;
    let mut held = JoinSet::new();
    for line in lines.into_iter().flatten() {
        let (pool, tally, broken) = (Rc::clone(&pool), Rc::clone(&stage.tally), stage.broken.clone());
        held.spawn_local(async move {
            if let Err(trouble) = hold(line, &pool).await {
                tally.error(trouble.code());
                broken.cancel();
            }
        });
    }
    let measured = stage.measure(args.timing).await;
    let after = stage.server_memory();
    drop(held);
    let mut report = Report::of("idle", measured, &stage.tally);
    report.connections = Some(args.connections);
    report.bytes_per_connection = after
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before) / args.connections as u64);
    Ok(stage.with_processes(report))
}

async fn hold(mut line: Line, pool: &Pool) -> Result<(), Trouble> {
    loop {
        tokio::select! {
            turned = line.turn(pool, |_| ()) => turned?,
            () = sleep(PING) => {
                let queued = line.queue(&Ping {}, &Block::none());
                queued.map_err(|error| Trouble::Failed(error.to_string()))?;
            }
        }
    }
}
