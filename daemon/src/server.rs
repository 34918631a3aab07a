//! The chat server's role: from its spec to a listening, attached server.
//!
//! ```text
//!  connection ──> session (pure) ──> handlers ──> store
//!      │  ^                             │
//!      │  └──── outbox <── hub <── delivery <── appender (group commit, in lanes)
//!      │                              │ ^
//!      └─> load ──> link ──> balancer │ └── peers <── bus <── other servers
//!                                     └──> peers ──> bus ──> other servers
//!                                           └──> mend: what was missed while messages were lost
//! ```

mod admission;
mod appender;
mod asking;
mod blobs;
mod connection;
mod context;
mod delivery;
mod dispatch;
mod drain;
mod feed;
mod handlers;
mod hub;
mod link;
mod links;
mod load;
mod mend;
mod metrics;
mod news;
mod password;
mod peers;
mod presence;
mod session;
mod shed;
mod start;
#[cfg(test)]
mod tests;
mod token;
mod watch;

use crate::{
    net::door::Door,
    shell::{Report, Shell},
};
use context::Context;
use fastchat_wire::{
    control::{BlobPolicy, Part, ProcessState, ServerSpec, ServerStatus, ShedStatus, Spec, StatusPart},
    limits::{FRAME_MS_MAX, PING_INTERVAL_MS, SIGN_IN_MS_MAX},
};
use handlers::Refusal;
use hub::{ConnectionId, Hub};
use links::Links;
use load::LoadMeter;
use metrics::ServerMetrics;
use peers::Peers;
use shed::Sheds;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A server's parts, shared by its connections.
pub(crate) struct Server {
    context: Context,
    appender: appender::Appender,
    delivery: delivery::Delivery,
    hub: Arc<Hub>,
    peers: Arc<Peers>,
    load: Arc<LoadMeter>,
    metrics: ServerMetrics,
    /// How clients come in.
    door: Door,
    limits: Limits,
    admission: Arc<admission::Admission>,
    /// From the spec; 0 is no limit.
    connections_max: AtomicU64,
    /// From the spec.
    blob_policy: tokio::sync::watch::Sender<BlobPolicy>,
}

/// Times that clients have.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// From opening to sign-in.
    sign_in: Duration,
    /// From a frame's first byte to its last.
    frame: Duration,
    /// Two of these without a frame, and the connection is closed.
    ping_interval: Duration,
    /// From the `move` of a soft stop to the end of those that stay.
    soft_stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sign_in: Duration::from_millis(SIGN_IN_MS_MAX),
            frame: Duration::from_millis(FRAME_MS_MAX),
            ping_interval: Duration::from_millis(PING_INTERVAL_MS),
            soft_stop: Duration::from_secs(3),
        }
    }
}

/// Connections that are taken in a row while others have something to do.
const ACCEPTS_AT_ONCE: u64 = 8;

/// Clients asked per second at a soft stop: all of them at once, or nearly.
const SOFT_STOP_CLIENTS_PER_S: u32 = 20_000;

impl Server {
    /// Most connections past `hello`; 0 is no limit.
    fn connections_max(&self) -> u64 {
        self.connections_max.load(Ordering::Relaxed)
    }
}

/// Sockets that are open, so that a port in use starts nothing.
struct Listeners {
    clients: TcpListener,
    bus: TcpListener,
}

/// Runs the server until the shell says stop.
///
/// # Errors
/// It can't start: a port in use, a store that can't be opened, a broken spec.
pub(crate) async fn run(shell: Shell) -> anyhow::Result<()> {
    let spec = shell.spec.borrow().clone();
    let part = server_part(&spec)?;
    let listeners = Listeners {
        clients: shell.transport.listen(&part.listen, "clients").await?,
        bus: shell.transport.listen(&part.bus_listen, "other servers").await?,
    };
    serve(shell, listeners, Limits::default()).await
}

/// The role on sockets that are open.
async fn serve(mut shell: Shell, listeners: Listeners, limits: Limits) -> anyhow::Result<()> {
    let spec = shell.spec.borrow_and_update().clone();
    let part = server_part(&spec)?.clone();
    // It may be away: whoever stops the server meanwhile needn't wait for it.
    let database = fastchat_schema::wait_for_server(part.database.expose());
    shell.shutdown.run_until_cancelled(database).await;
    let metrics = ServerMetrics::register(&shell.registry)?;
    anyhow::ensure!(!shell.shutdown.is_cancelled(), "stopped before it had started");
    let start::Started { server, bus, tasks, quit } = start::start(&spec, &part, listeners.bus, metrics, limits, &shell.transport).await?;
    // However this ends, connections and links end with it.
    let _quit_on_drop = quit.clone().drop_guard();

    let mut links = Links::new(start::introduction(&part), shell.transport.clone());
    let connections = TaskTracker::new();
    let mut accepting = JoinSet::new();
    accepting.spawn(accept(
        Arc::clone(&server),
        listeners.clients,
        connections.clone(),
        quit.child_token(),
    ));
    let mut changes = server.load.changes();
    let mut draining = JoinSet::new();
    // What was under way when this server started went to others with its clients.
    let sheds = Sheds::new(part.shed.as_ref().map(shed::over));
    let mut shed_changes = sheds.subscribe();
    let mut shedding = JoinSet::new();
    let mut in_force = part;
    let mut generation = spec.generation;
    links.follow(&in_force, &server.load);
    Arc::clone(&bus).set_peers(&in_force.peers);
    shell.readiness.set(true);

    let mut look = interval(STORE_LOOK);
    let mut other_bus = false;
    loop {
        server.metrics.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        let state = if server.load.is_draining() {
            ProcessState::Draining
        } else {
            ProcessState::Ready
        };
        shell
            .report
            .send_replace(report(&server, &in_force, generation, state, &sheds.borrow()));
        tokio::select! {
            () = shell.shutdown.cancelled() => break,
            changed = shell.spec.changed() => {
                if changed.is_err() { break }
                let spec = shell.spec.borrow_and_update().clone();
                let part = server_part(&spec)?.clone();
                generation = spec.generation;
                if part.bus != in_force.bus {
                    other_bus = true;
                    break;
                }
                Arc::clone(&bus).set_peers(&part.peers);
                links.follow(&part, &server.load);
                server.connections_max.store(part.connections_max, Ordering::Relaxed);
                server.admission.apply(&part.limits);
                let blobs = part.limits.blobs;
                server.blob_policy.send_if_modified(|policy| std::mem::replace(policy, blobs) != blobs);
                if part.drain != in_force.drain {
                    follow_drain(&server, &part, &mut draining).await;
                }
                if part.shed != in_force.shed {
                    follow_shed(&server, &part, &mut shedding, &sheds).await;
                }
                in_force = part;
            }
            _ = changes.changed() => sleep(REPORT_COALESCE).await,
            // Its sender lives as long as this does.
            _ = shed_changes.changed() => {}
            _ = look.tick() => {
                server.door.look();
                anyhow::ensure!(
                    !server.appender.has_ended() && !server.delivery.has_ended(),
                    "a task that all depends on has failed (its panic stands above): this server must be started again"
                );
                tokio::select! {
                    ready = answers(&server) => shell.readiness.set(ready),
                    () = shell.shutdown.cancelled() => break,
                }
            }
        }
    }

    tracing::info!(other_bus, "stopping: asking the clients to move");
    shell.readiness.set(false);
    // Who connects from here on is refused, not left waiting.
    accepting.shutdown().await;
    shell
        .report
        .send_replace(report(&server, &in_force, generation, ProcessState::Stopping, &sheds.borrow()));
    draining.shutdown().await;
    shedding.shutdown().await;
    connections.close();
    tokio::select! {
        () = drain::run(&server.hub, &server.load, SOFT_STOP_CLIENTS_PER_S, limits.soft_stop) => {}
        () = connections.wait() => {}
        () = sleep(limits.soft_stop) => {}
    }
    // Whatever is left is closed; what was acknowledged is committed.
    quit.cancel();
    connections.wait().await;
    links.end().await;
    drop(server);
    bus.stopped().await;
    tasks.close();
    tasks.wait().await;
    // Whoever started this process starts it again.
    anyhow::ensure!(
        !other_bus,
        "the spec names another bus: this server must be started again to use it"
    );
    Ok(())
}

/// The store is asked so often whether it answers.
const STORE_LOOK: Duration = Duration::from_secs(2);

/// True where the store answers in time: what `/readyz` says.
async fn answers(server: &Server) -> bool {
    match timeout(STORE_LOOK, server.context.store.ping()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the store does not answer: not ready");
            false
        }
        Err(_) => {
            tracing::warn!("the store does not answer in time: not ready");
            false
        }
    }
}

/// Reports follow changes of the load by this time.
const REPORT_COALESCE: Duration = Duration::from_millis(100);

fn server_part(spec: &Spec) -> anyhow::Result<&ServerSpec> {
    match &spec.part {
        Part::Server(part) => Ok(part),
        Part::Balancer(_) | Part::Agent(_) => anyhow::bail!("the spec is not a server's: check --name and the control plane"),
    }
}

fn report(server: &Server, part: &ServerSpec, generation: u64, state: ProcessState, shed: &Option<ShedStatus>) -> Report {
    let status = ServerStatus {
        address: part.address.clone(),
        connections: server.load.connections(),
        shed: shed.clone(),
    };
    Report {
        applied_generation: generation,
        state,
        problem: None,
        part: StatusPart::Server(status),
    }
}

/// Starts, changes or ends the drain that a spec asks for.
async fn follow_drain(server: &Arc<Server>, part: &ServerSpec, running: &mut JoinSet<()>) {
    running.shutdown().await;
    server.load.set_draining(part.drain.is_some());
    if let Some(drain) = part.drain {
        let server = Arc::clone(server);
        running.spawn(async move {
            let within = Duration::from_millis(drain.within_ms);
            drain::run(&server.hub, &server.load, drain.clients_per_s, within).await;
        });
    }
}

/// Starts, changes or ends the shed that a spec asks for.
async fn follow_shed(server: &Arc<Server>, part: &ServerSpec, running: &mut JoinSet<()>, sheds: &Sheds) {
    running.shutdown().await;
    match part.shed.clone() {
        Some(shed) => {
            let (server, sheds) = (Arc::clone(server), sheds.clone());
            running.spawn(async move { shed::run(&server.hub, &server.load, &shed, &sheds).await });
        }
        None => sheds.send_modify(|last| {
            if let Some(last) = last {
                last.done = true;
            }
        }),
    }
}

/// Takes connections until it is aborted.
///
/// A crowd that comes at once takes turns with those who are being served.
async fn accept(server: Arc<Server>, listener: TcpListener, connections: TaskTracker, quit: CancellationToken) {
    let mut next: u64 = 0;
    loop {
        if next.is_multiple_of(ACCEPTS_AT_ONCE) {
            tokio::task::yield_now().await;
        }
        match listener.accept().await {
            Ok((socket, peer)) => match server.admission.enter(peer.ip()) {
                Ok(entry) => {
                    next += 1;
                    connections.spawn(connection::serve(
                        Arc::clone(&server),
                        socket,
                        entry,
                        ConnectionId(next),
                        quit.child_token(),
                    ));
                }
                Err(error) => server.door.refuse(socket, &Refusal::from(error).encode(None)),
            },
            Err(error) => {
                // Out of descriptors, mostly: those that end make room.
                tracing::warn!(%error, "the client listener can't accept");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
