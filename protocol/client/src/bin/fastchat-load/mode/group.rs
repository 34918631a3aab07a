//! `group`: one conversation with many members, some of whom send.

use crate::{
    args::{self, Common},
    report::Report,
    stage::{Stage, Timing},
    talk::{
        opening::open,
        run::{self, Load},
    },
    trouble::Trouble,
};
use fastchat_wire::chat::create::ConversationKind;
use std::rc::Rc;

/// One group: some of its members send, all others receive
///
/// A delivery is one message at one member: a message to a group of 100 is 99 deliveries. A sender's window counts
/// messages that are on their way to somebody.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat-load group --members 100 --senders 1 --json
  fastchat-load group --members 1000 --senders 10 --rate 100"))]
pub(crate) struct Args {
    /// Members of the group; those beyond 257 are added by a commit
    #[arg(long, value_name = "N", default_value = "100", value_parser = args::count)]
    members: usize,
    /// Members that send
    #[arg(long, value_name = "K", default_value = "1", value_parser = args::count)]
    senders: usize,
    /// Closed loop: messages of each sender on the way
    #[arg(long, value_name = "W", default_value = "32", value_parser = args::count, conflicts_with = "rate")]
    window: usize,
    /// Open loop: messages per second of all senders
    #[arg(long, value_name = "MSG/S", value_parser = args::rate)]
    rate: Option<f64>,
    /// Bytes of a message
    #[arg(long, value_name = "BYTES", default_value = "200", value_parser = args::size)]
    size: usize,
    #[command(flatten)]
    timing: Timing,
}

/// Runs it.
///
/// # Errors
/// The fleet refuses.
pub(crate) async fn run(common: &Common, args: &Args) -> Result<Report, Trouble> {
    if args.members < 2 || args.senders > args.members {
        return Err(Trouble::Usage(
            "a group needs two members, and no more senders than members".to_owned(),
        ));
    }
    let mut stage = Stage::set(common, args.members).await?;
    let entrance = Rc::clone(&stage.entrance);
    let accounts = stage.accounts(args.members).await?;
    let opened = open(&entrance, accounts, ConversationKind::Group, |member| member).await?;
    stage.book.save()?;
    let load = Load {
        size: args.size,
        window: args.window as u64,
        rate: args.rate,
        senders: args.senders,
    };
    run::run(&mut stage, "group", vec![opened], load, args.timing).await
}
