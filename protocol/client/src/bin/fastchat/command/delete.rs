//! `fastchat delete @user|#group MESSAGE`

use super::send;
use crate::{context::Context, stop::Stop};
use fastchat_client::record::{Named, Recipient};
use fastchat_e2e::content::{Body, Target};

/// Take back a message that you have sent
///
/// Its text is deleted from all devices that read this, and everybody sees that you took it back. Who has read it before
/// has read it; files that were saved stay where they are, and an archive that has it keeps it sealed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat delete @bob last
  fastchat history '#team' --numbers            the numbers of messages
  fastchat delete '#team' 17"))]
pub(crate) struct Args {
    /// Where: @user, or a group as '#name' (quoted)
    #[arg(value_name = "@user|#group")]
    to: Recipient,
    /// Which of your messages: its number, the end of its id, or last
    #[arg(value_name = "MESSAGE")]
    message: Named,
}

pub(crate) async fn run(context: &Context<'_>, args: Args) -> Result<(), Stop> {
    let delete = |target| Body::Delete(Target { target });
    send::about(context, &args.to, &args.message, true, delete, "taken back").await
}
