//! Emptying this server: each client is asked to move, at a pace (make before break).

use super::{
    hub::{Hub, Online},
    load::LoadMeter,
};
use fastchat_wire::{
    Block, MoveId,
    chat::move_to::{Move, MoveReason},
    encode_event,
};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::{Instant, interval};

/// Asks the clients to move, some per second, until this is dropped; those that
/// are still here after `within` are closed.
pub(super) async fn run(hub: &Hub, load: &LoadMeter, clients_per_s: u32, within: Duration) {
    load.set_draining(true);
    let deadline = Instant::now() + within;
    let mut known = HashSet::new();
    let mut announced: Vec<(MoveId, Arc<Online>)> = Vec::new();
    let mut tick = interval(TICK);
    let per_tick = usize::try_from(clients_per_s.div_ceil(TICKS_PER_S)).unwrap_or(usize::MAX).max(1);
    while Instant::now() < deadline {
        tick.tick().await;
        // The balancers were told of these a tick ago, before the clients come to them.
        for (id, online) in announced.drain(..) {
            ask(&online, id, deadline);
        }
        for online in hub
            .connections()
            .into_iter()
            .filter(|online| !known.contains(&online.connection))
            .take(per_tick)
            .collect::<Vec<_>>()
        {
            let id = MoveId::from(uuid::Uuid::now_v7());
            known.insert(online.connection);
            load.moving(id);
            announced.push((id, online));
        }
    }
    for online in hub.connections() {
        online.end.cancel();
    }
    std::future::pending::<()>().await;
}

fn ask(online: &Online, id: MoveId, deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now());
    let event = Move {
        id,
        reason: MoveReason::Drain,
        after_ms: 0,
        within_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
    };
    match encode_event(None, &event, &Block::none()) {
        // Not dropped like a push: a client that is behind has to move too.
        Ok(frame) => online.outbox.answer(frame),
        Err(error) => tracing::error!(%error, "a move can't be written"),
    }
}

/// Clients are asked in groups, so often.
const TICK: Duration = Duration::from_millis(100);
const TICKS_PER_S: u32 = 10;
