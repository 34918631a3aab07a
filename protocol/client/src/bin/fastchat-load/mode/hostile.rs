//! `hostile`: pairs at a rate, without and with a crowd that means harm.

use crate::{
    args::{self, Common},
    crowd::Crowd,
    report::{Hostile, Report},
    stage::{Stage, Timing},
    talk::{
        opening::{Opened, open},
        run::{self, Load},
    },
    trouble::Trouble,
};
use fastchat_wire::chat::create::ConversationKind;
use futures::{StreamExt, TryStreamExt, stream};
use std::{rc::Rc, sync::atomic::Ordering::Relaxed};

/// Pairs that sign in at once.
const AT_ONCE: usize = 16;

/// Pairs that send at a rate, first alone and then beside clients that mean harm
///
/// Of those some sign in, ask without end and never read; the others begin a frame and never finish it. Whoever is
/// closed comes back. Choose a rate of half of what `pairs` finds the fleet to do. The figures are those beside the
/// crowd; `without` are those before it came, and `p99_ratio` is what it did to the 99th percentile of send to deliver.
/// Where a fleet's limits keep the crowd out, `held` is less than what was asked for.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat-load hostile --rate 10000 --json
  fastchat-load hostile --rate 10000 --readers 500 --unfinished 5000 --accounts ~/load"))]
pub(crate) struct Args {
    /// How many pairs
    #[arg(long, value_name = "N", default_value = "100", value_parser = args::count)]
    pairs: usize,
    /// Messages per second over all pairs
    #[arg(long, value_name = "MSG/S", value_parser = args::rate)]
    rate: f64,
    /// Bytes of a message
    #[arg(long, value_name = "BYTES", default_value = "200", value_parser = args::size)]
    size: usize,
    /// Signed-in clients that never read
    #[arg(long, value_name = "N", default_value = "500")]
    readers: usize,
    /// Clients that never finish a frame
    #[arg(long, value_name = "N", default_value = "5000")]
    unfinished: usize,
    #[command(flatten)]
    timing: Timing,
}

/// Runs it.
///
/// # Errors
/// The fleet refuses.
pub(crate) async fn run(common: &Common, args: &Args) -> Result<Report, Trouble> {
    let people = args.pairs * 2;
    let mut stage = Stage::set(common, people + args.readers + args.unfinished).await?;
    let entrance = Rc::clone(&stage.entrance);
    stage.accounts(people + args.readers).await?;

    let alone = measure(&mut stage, args, people).await?;
    let readers = &mut stage.accounts(people + args.readers).await?[people..];
    let crowd = Crowd::come(entrance.parts(), readers, args.unfinished).await?;
    let mut report = measure(&mut stage, args, people).await?;
    stage.book.save()?;

    let p99 = |report: &Report| {
        let messages = report.messages.as_ref()?;
        messages.send_to_deliver_us.map(|quantiles| quantiles.p99)
    };
    report.mode = "hostile";
    report.hostile = Some(Hostile {
        readers: args.readers,
        unfinished: args.unfinished,
        held: crowd.deeds.held.load(Relaxed),
        closed: crowd.deeds.closed.load(Relaxed),
        refused: crowd.deeds.refused.load(Relaxed),
        p99_ratio: p99(&report)
            .zip(p99(&alone))
            .map(|(with, without)| with as f64 / without.max(1) as f64),
        without: alone.messages,
    });
    Ok(report)
}

/// The pairs' load, on connections of its own.
async fn measure(stage: &mut Stage, args: &Args, people: usize) -> Result<Report, Trouble> {
    let entrance = Rc::clone(&stage.entrance);
    let accounts = stage.accounts(people).await?;
    let pairs = accounts.chunks_exact_mut(2).enumerate();
    let opening = pairs.map(|(pair, members)| open(&entrance, members, ConversationKind::Direct, move |member| pair * 2 + member));
    let opened: Vec<Opened> = stream::iter(opening).buffered(AT_ONCE).try_collect().await?;
    let load = Load {
        size: args.size,
        window: 0,
        rate: Some(args.rate),
        senders: 1,
    };
    run::run(stage, "hostile", opened, load, args.timing).await
}
