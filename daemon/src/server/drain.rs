//! Emptying this server: every client is asked to move.

use super::{
    asking::{Asking, TICK},
    hub::Hub,
    load::LoadMeter,
};
use fastchat_wire::chat::move_to::MoveReason;
use std::time::Duration;
use tokio::time::{Instant, interval};

/// Asks the clients to move, some per second, until this is dropped; those that
/// are still here after `within` are closed.
pub(super) async fn run(hub: &Hub, load: &LoadMeter, clients_per_s: u32, within: Duration) {
    load.set_draining(true);
    let deadline = Instant::now() + within;
    let mut asking = Asking::new(MoveReason::Drain, clients_per_s);
    let mut tick = interval(TICK);
    while Instant::now() < deadline {
        tick.tick().await;
        asking.tick(load, hub.connections(), u64::MAX, deadline);
    }
    for online in hub.connections() {
        online.end.cancel();
    }
    std::future::pending::<()>().await;
}
