//! Giving some clients away, so that every server has its share.
//!
//! ```text
//!  a spec with a shed ──> asking, at its rate ── all asked, or its time is over ──> waiting for who was asked ──> done
//!                           └── another spec ──> no more is asked
//! ```
//!
//! Who came within the cool-down is not asked. A client that moved is new where
//! it came to, so nobody moves twice within that time, and no server needs to
//! know where anybody came from.

use super::{
    asking::{Asking, TICK},
    hub::{ConnectionId, Hub, Online},
    load::LoadMeter,
};
use fastchat_wire::{
    chat::move_to::MoveReason,
    control::{Shed, ShedStatus},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, interval},
};

/// Whoever was asked and is still here after this time is closed.
const LEAVE: Duration = Duration::from_secs(30);

/// How far the last one is.
pub(super) type Sheds = watch::Sender<Option<ShedStatus>>;

/// One of which nothing is left to do.
pub(super) fn over(shed: &Shed) -> ShedStatus {
    ShedStatus {
        id: shed.id.clone(),
        done: true,
        ..ShedStatus::default()
    }
}

/// Runs one to its end; `status` says how far it is.
pub(super) async fn run(hub: &Hub, load: &LoadMeter, shed: &Shed, status: &Sheds) {
    let Shed {
        id,
        clients,
        clients_per_s,
        ..
    } = shed;
    tracing::info!(id, clients, clients_per_s, "clients are asked to move to other servers");
    let cool_down = Duration::from_millis(shed.cool_down_ms);
    let stop = Instant::now() + Duration::from_millis(shed.within_ms);
    let mut asking = Asking::new(MoveReason::Rebalance, *clients_per_s);
    // Until when each may stay.
    let mut leaving: HashMap<ConnectionId, Instant> = HashMap::new();
    let mut tick = interval(TICK);
    loop {
        tick.tick().await;
        let now = Instant::now();
        let here = hub.connections();
        let (mut stay, settled): (Vec<_>, Vec<_>) = here.into_iter().partition(|online| asking.has_asked(online.connection));
        stay.retain(|online| !overdue(online, &mut leaving, now));
        let most = if now < stop { clients.saturating_sub(asking.asked()) } else { 0 };
        let settled = settled.into_iter().filter(|online| now.duration_since(online.since) >= cool_down);
        asking.tick(load, settled.collect(), most, now + LEAVE);
        let all = asking.asked() >= *clients || now >= stop;
        let progress = ShedStatus {
            id: id.clone(),
            asked: asking.asked(),
            left: stay.len() as u64,
            done: all && asking.is_idle() && stay.is_empty(),
        };
        let done = progress.done;
        status.send_if_modified(|last| last.replace(progress.clone()).as_ref() != Some(&progress));
        if done {
            tracing::info!(id, asked = asking.asked(), "the clients that were asked to move have");
            return;
        }
    }
}

/// True where that client, which was asked, is closed now.
fn overdue(online: &Arc<Online>, leaving: &mut HashMap<ConnectionId, Instant>, now: Instant) -> bool {
    // A tick lies between being chosen and being asked.
    let until = *leaving.entry(online.connection).or_insert(now + LEAVE + 2 * TICK);
    let over = now >= until;
    if over {
        online.end.cancel();
    }
    over
}
