//! `pairs`: two accounts each, one of which sends to the other.

use crate::{
    args::{self, Common},
    enter::Entrance,
    report::Report,
    stage::{Stage, Timing},
    talk::{
        opening::{Opened, open},
        run::{self, Load},
    },
    trouble::Trouble,
};
use fastchat_wire::chat::create::ConversationKind;
use futures::{StreamExt, TryStreamExt, stream};
use std::rc::Rc;

/// Pairs that sign in at once.
const AT_ONCE: usize = 16;

/// Pairs of accounts: one sends, the other receives
///
/// In the closed loop (--window) each sender has so many messages on the way, sent and not yet both acknowledged and
/// delivered: that finds the most that a fleet does. In the open loop (--rate) messages are sent when they are due,
/// whatever the fleet does: that finds the latencies at a load.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat-load pairs --pairs 100 --window 32 --json
  fastchat-load pairs --pairs 1000 --window 4 --accounts ~/load
  fastchat-load pairs --rate 1000 --seconds 60
  fastchat-load pairs --spread --pairs 300"))]
pub(crate) struct Args {
    /// How many pairs
    #[arg(long, value_name = "N", default_value = "100", value_parser = args::count)]
    pairs: usize,
    /// Closed loop: messages of each sender on the way
    #[arg(long, value_name = "W", default_value = "32", value_parser = args::count, conflicts_with = "rate")]
    window: usize,
    /// Open loop: messages per second over all pairs
    #[arg(long, value_name = "MSG/S", value_parser = args::rate)]
    rate: Option<f64>,
    /// Bytes of a message
    #[arg(long, value_name = "BYTES", default_value = "200", value_parser = args::size)]
    size: usize,
    /// Put the two of each pair on different servers
    ///
    /// The servers are those of --server, or those that the balancer names when it is asked a few times.
    #[arg(long, conflicts_with = "together")]
    spread: bool,
    /// Put the two of each pair on the same server
    #[arg(long)]
    together: bool,
    #[command(flatten)]
    timing: Timing,
}

/// Runs it.
///
/// # Errors
/// The fleet refuses.
pub(crate) async fn run(common: &Common, args: &Args) -> Result<Report, Trouble> {
    let mut stage = Stage::set(common, args.pairs * 2).await?;
    let mut entrance = Rc::clone(&stage.entrance);
    if args.spread || args.together {
        entrance = Rc::new(stage.entrance.by_server().await?);
    }
    if args.spread && entrance.servers() < 2 {
        return Err(Trouble::Usage("--spread needs at least two servers".to_owned()));
    }
    let accounts = stage.accounts(args.pairs * 2).await?;
    let opened = open_all(&entrance, accounts, args).await?;
    stage.book.save()?;
    let load = Load {
        size: args.size,
        window: args.window as u64,
        rate: args.rate,
        senders: 1,
    };
    run::run(&mut stage, "pairs", opened, load, args.timing).await
}

async fn open_all(entrance: &Entrance, accounts: &mut [crate::book::Account], args: &Args) -> Result<Vec<Opened>, Trouble> {
    let pairs = accounts.chunks_exact_mut(2).enumerate();
    let opening = pairs.map(|(pair, members)| {
        let seat_of = move |member| match (args.spread, args.together) {
            (true, _) => pair + member,
            (_, true) => pair,
            _ => pair * 2 + member,
        };
        open(entrance, members, ConversationKind::Direct, seat_of)
    });
    stream::iter(opening).buffered(AT_ONCE).try_collect().await
}
