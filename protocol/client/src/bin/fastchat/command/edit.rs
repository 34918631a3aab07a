//! `fastchat edit @user|#group MESSAGE TEXT`

use super::send;
use crate::{context::Context, stop::Stop};
use fastchat_client::record::{Named, Recipient};
use fastchat_e2e::content::{Body, Edit};

/// Correct a text that you have sent
///
/// Everybody sees the new text in place of the old one, marked as edited. The old one is deleted from all devices that
/// read this; who has read it before has read it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat edit @bob last \"see you at eight\"
  fastchat history '#team' --numbers            the numbers of messages
  fastchat edit '#team' 17 \"see you at eight\""))]
pub(crate) struct Args {
    /// Where: @user, or a group as '#name' (quoted)
    #[arg(value_name = "@user|#group")]
    to: Recipient,
    /// Which of your texts: its number, the end of its id, or last
    #[arg(value_name = "MESSAGE")]
    message: Named,
    /// The new text, at most 1 MiB
    #[arg(value_name = "TEXT")]
    text: String,
}

pub(crate) async fn run(context: &Context<'_>, args: Args) -> Result<(), Stop> {
    let body = send::check(args.text)?;
    let edit = |target| Body::Edit(Edit { target, body });
    send::about(context, &args.to, &args.message, true, edit, "corrected").await
}
