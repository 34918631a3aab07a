//! `fastchat typing @user|#group`

use crate::{context::Context, online::Online, stop::Stop};
use fastchat_client::{
    problem::Problem,
    record::{Recipient, find},
};

/// Tell who is online that you are writing something
///
/// They see it if they want to (`fastchat listen --typing`), for a moment; it is sealed like a message and kept nowhere. No
/// other command tells it. For programs that write messages for people: call it every few seconds while somebody types.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat typing @bob
  fastchat typing '#team'"))]
pub(crate) struct Args {
    /// To whom: @user, or a group as '#name' (quoted)
    #[arg(value_name = "@user|#group")]
    to: Recipient,
}

pub(crate) async fn run(context: &Context<'_>, args: &Args) -> Result<(), Stop> {
    let mut online = context.online()?;
    let outcome = tell(&mut online, &args.to).await;
    online.close().await;
    Ok(outcome?)
}

async fn tell(online: &mut Online<'_>, to: &Recipient) -> Result<(), Problem> {
    online.ready().await?;
    let conversation = find(&online.profile().rooms()?, to)?.conversation;
    online.watch.during(online.messenger.typing(conversation)).await
}
