//! `signal`: told to the members that are online, and kept nowhere.

use super::{Call, Handled, Refusal};
use crate::{
    server::{
        Server,
        context::Identity,
        delivery::{Hint, Origin},
        hub::ConnectionId,
    },
    store::Denied,
};
use fastchat_wire::{
    Block, Empty,
    chat::signal::{Signal, SignalEvent},
    limits::SIGNAL_BYTES_MAX,
};

/// Checks membership and epoch as they are now, and hands it to who is online.
pub(crate) async fn handle(server: &Server, identity: &Identity, call: &Call, connection: ConnectionId) -> Handled {
    let arguments: Signal = call.arguments()?;
    let block = call.frame.block.clone();
    if block.len() > SIGNAL_BYTES_MAX {
        return Err(Refusal::bad_request(format!(
            "a signal has at most {SIGNAL_BYTES_MAX} bytes, not {}: append what is larger",
            block.len()
        )));
    }
    let now = server.context.store.now(arguments.conversation, identity.account).await?;
    if arguments.epoch != now.epoch {
        return Err(Denied::EpochConflict { current: now.epoch }.into());
    }
    let signal = SignalEvent {
        conversation: arguments.conversation,
        from: identity.account,
        device: identity.device,
        epoch: arguments.epoch,
    };
    let hint = Hint::Signal {
        signal,
        block,
        sender: Some(connection),
    };
    server.delivery.hint(hint, now.members_seq, Origin::Here).await;
    call.answer(&Empty {}, &Block::none())
}
