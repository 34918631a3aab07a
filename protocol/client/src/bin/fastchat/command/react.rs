//! `fastchat react @user|#group MESSAGE EMOJI`

use super::send;
use crate::{context::Context, stop::Stop};
use fastchat_client::{
    problem::Problem,
    record::{Named, Recipient},
};
use fastchat_e2e::content::{Body, React, is_emoji};

/// React to a message with an emoji
///
/// You have one reaction to a message: another one takes the place of the first, and --none takes it back.
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat react @bob last 👍
  fastchat react '#team' 17 🎉
  fastchat react '#team' 17 --none"))]
pub(crate) struct Args {
    /// Where: @user, or a group as '#name' (quoted)
    #[arg(value_name = "@user|#group")]
    to: Recipient,
    /// To which message: its number, the end of its id, or last, the newest of others
    #[arg(value_name = "MESSAGE")]
    message: Named,
    /// One emoji
    #[arg(value_name = "EMOJI", required_unless_present = "none", value_parser = emoji)]
    emoji: Option<String>,
    /// Take your reaction back
    #[arg(long, conflicts_with = "emoji")]
    none: bool,
}

pub(crate) async fn run(context: &Context<'_>, args: Args) -> Result<(), Stop> {
    let (emoji, done) = match args.emoji {
        Some(emoji) => (emoji, "reacted"),
        None => (String::new(), "taken back"),
    };
    let react = |target| Body::React(React { target, emoji });
    send::about(context, &args.to, &args.message, false, react, done).await
}

/// Reads an emoji.
fn emoji(text: &str) -> Result<String, Problem> {
    match is_emoji(text) {
        true => Ok(text.to_owned()),
        false => Err(Problem::Usage("write one emoji, of at most 64 bytes".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaction_is_one_emoji() {
        assert_eq!(emoji("👨‍👩‍👧‍👦").unwrap(), "👨‍👩‍👧‍👦");
        for text in ["", "👍👍", "yes"] {
            assert_eq!(emoji(text).unwrap_err().exit_code(), 2, "{text}");
        }
    }
}
