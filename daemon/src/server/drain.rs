//! Emptying this server: each client is asked to move, at a pace (make before break).

use super::{hub::Hub, load::LoadMeter};
use fastchat_wire::{
    Block, MoveId,
    chat::move_to::{Move, MoveReason},
    encode_event,
};
use std::{collections::HashSet, time::Duration};
use tokio::time::{Instant, interval, sleep_until};

/// Asks the clients to move, some per second, until this is dropped; those that
/// are still here after `within` are closed.
pub(super) async fn run(hub: &Hub, load: &LoadMeter, clients_per_s: u32, within: Duration) {
    load.set_draining(true);
    let deadline = Instant::now() + within;
    let mut asked = HashSet::new();
    // A tenth of a second's clients at a time.
    let mut tick = interval(Duration::from_millis(100));
    let per_tick = usize::try_from(clients_per_s.div_ceil(10)).unwrap_or(usize::MAX).max(1);
    while Instant::now() < deadline {
        tick.tick().await;
        let waiting = hub.connections();
        for online in waiting.iter().filter(|online| !asked.contains(&online.connection)).take(per_tick).collect::<Vec<_>>() {
            asked.insert(online.connection);
            let id = MoveId::from(uuid::Uuid::now_v7());
            let left = deadline.saturating_duration_since(Instant::now());
            let event = Move { id, reason: MoveReason::Drain, after_ms: 0, within_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX) };
            match encode_event(None, &event, &Block::none()) {
                Ok(frame) => {
                    load.moving(id);
                    // Not dropped like a push: a client that is behind has to move too.
                    online.outbox.answer(frame);
                }
                Err(error) => tracing::error!(%error, "a move can't be written"),
            }
        }
    }
    sleep_until(deadline).await;
    for online in hub.connections() {
        online.end.cancel();
    }
    std::future::pending::<()>().await;
}
