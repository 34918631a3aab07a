//! `fastchat typing @user|#group`

use crate::{context::Context, online::Online, rooms, stop::Stop, terminal::human};
use fastchat_client::{
    problem::Problem,
    record::{Recipient, find},
};
use fastchat_e2e::ConversationId;
use serde_json::json;

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
    let told = outcome
        .map_err(Stop::from)
        .and_then(|conversation| show(context, &online, conversation));
    online.close().await;
    told
}

async fn tell(online: &mut Online<'_>, to: &Recipient) -> Result<ConversationId, Problem> {
    online.ready().await?;
    let conversation = find(&online.profile().rooms()?, to)?.conversation;
    online.watch.during(online.messenger.typing(conversation)).await?;
    Ok(conversation)
}

fn show(context: &Context<'_>, online: &Online<'_>, conversation: ConversationId) -> Result<(), Stop> {
    let title = rooms::title(online.profile(), conversation)?;
    if context.screen.is_json() {
        return context
            .screen
            .object(&json!({"conversation": conversation, "name": title, "type": "typing"}));
    }
    context.screen.confirm(&format!("told {}", human::brief(&title)));
    Ok(())
}
