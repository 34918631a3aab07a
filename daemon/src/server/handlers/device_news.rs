//! The news that a device came or went.

use crate::{
    server::{context::Context, handlers::Refusal, news::News},
    store::StoreError,
};
use fastchat_wire::{
    AccountId, DeviceId,
    chat::remove_device::{DeviceChange, DeviceEvent},
};

/// Tells the account itself and all that share a conversation with it. The
/// event is a hint (PROTOCOL.md §8): where the store can't say whom to tell,
/// the change stands all the same, and the log says what was missed.
pub(super) async fn tell(context: &Context, account: AccountId, device: DeviceId, change: DeviceChange) {
    match context.store.contacts(account).await {
        Ok(mut accounts) => {
            accounts.push(account);
            let event = DeviceEvent { account, device, change };
            context.announcer.announce(News::Device(event, accounts)).await;
        }
        Err(error) => warn(error),
    }
}

fn warn(error: StoreError) {
    let refusal = Refusal::from(error);
    tracing::warn!(error = %refusal.error, "a device event was not sent");
}
