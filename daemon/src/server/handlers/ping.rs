//! `ping`: nothing but a sign of life, before sign-in and after.

use super::{Call, Handled};
use crate::server::context::Context;
use fastchat_wire::{Block, Empty, chat::ping::Ping};

/// Answers.
#[expect(clippy::unused_async, reason = "all handlers have one shape")]
pub(crate) async fn handle(_context: &Context, call: &Call) -> Handled {
    let Ping {} = call.arguments()?;
    call.answer(&Empty {}, &Block::none())
}
