//! The chat server's role: from its spec to a listening, attached server.
//!
//! ```text
//!  connection ──> session (pure) ──> handlers ──> store
//!      │  ^                             │
//!      │  └──── outbox <── hub <── delivery <── appender (group commit)
//!      │                              │ ^
//!      └─> load ──> link ──> balancer │ └── peers <── bus <── other servers
//!                                     └──> peers ──> bus ──> other servers
//! ```

mod appender;
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
mod load;
mod metrics;
mod news;
mod password;
mod peers;
mod presence;
mod session;
mod start;
mod token;

use crate::shell::{Report, Shell};
use context::Context;
use fastchat_wire::{
    control::{Part, ProcessState, ServerSpec, ServerStatus, Spec, StatusPart},
    limits::{FRAME_MS_MAX, PARTIAL_BLOCKS_BYTES_MAX, PING_INTERVAL_MS, SIGN_IN_MS_MAX},
};
use hub::{ConnectionId, Hub};
use load::LoadMeter;
use metrics::ServerMetrics;
use peers::Peers;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet, time::sleep};
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
    timing: Timing,
    /// KiB of partial blocks that all connections may hold together.
    partial_blocks: Arc<Semaphore>,
    /// From the spec; 0 is no limit.
    connections_max: AtomicU64,
}

/// How long clients may take.
#[derive(Debug, Clone, Copy)]
struct Timing {
    /// From opening to sign-in.
    sign_in: Duration,
    /// From a frame's first byte to its last.
    frame: Duration,
    /// Two of these without a frame, and the connection is closed.
    ping_interval: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            sign_in: Duration::from_millis(SIGN_IN_MS_MAX),
            frame: Duration::from_millis(FRAME_MS_MAX),
            ping_interval: Duration::from_millis(PING_INTERVAL_MS),
        }
    }
}

/// A soft stop asks the clients to move, and closes those that stay after this time.
const SOFT_STOP: Duration = Duration::from_secs(3);
/// Clients asked per second at a soft stop: all of them at once, or nearly.
const SOFT_STOP_CLIENTS_PER_S: u32 = 20_000;
const PARTIAL_BLOCKS_KIB: usize = PARTIAL_BLOCKS_BYTES_MAX >> 10;

impl Server {
    /// Most connections past `hello`; 0 is no limit.
    fn connections_max(&self) -> u64 {
        self.connections_max.load(Ordering::Relaxed)
    }
}

/// Runs the server until the shell says stop.
///
/// # Errors
/// It can't start: a port in use, a store that can't be opened, a broken spec.
pub(crate) async fn run(mut shell: Shell) -> anyhow::Result<()> {
    let spec = shell.spec.borrow_and_update().clone();
    let part = server_part(&spec)?.clone();
    let metrics = ServerMetrics::register(&shell.registry)?;
    let started = start::start(&spec, &part, metrics, &shell.shutdown).await?;
    let start::Started {
        server,
        listener,
        mesh,
        tasks,
        quit,
    } = started;

    let mut links = Links {
        introduction: start::introduction(&part),
        running: JoinSet::new(),
        balancers: Vec::new(),
    };
    let connections = TaskTracker::new();
    let accepting = tokio::spawn(accept(Arc::clone(&server), listener, connections.clone(), quit.child_token()));
    let mut changes = server.load.changes();
    let mut draining: Option<tokio::task::JoinHandle<()>> = None;
    let mut in_force = part;
    let mut generation = spec.generation;
    links.follow(&in_force, &server.load);
    mesh.set_peers(&in_force.peers);
    shell.readiness.set(true);

    loop {
        server.metrics.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        let state = if server.load.is_draining() {
            ProcessState::Draining
        } else {
            ProcessState::Ready
        };
        shell.report.send_replace(report(&server, &in_force, generation, state));
        tokio::select! {
            () = shell.shutdown.cancelled() => break,
            changed = shell.spec.changed() => {
                if changed.is_err() { break }
                let spec = shell.spec.borrow_and_update().clone();
                let part = server_part(&spec)?.clone();
                generation = spec.generation;
                mesh.set_peers(&part.peers);
                links.follow(&part, &server.load);
                server.connections_max.store(part.connections_max, Ordering::Relaxed);
                if part.drain != in_force.drain {
                    draining = follow_drain(&server, &part, draining.take());
                }
                in_force = part;
            }
            _ = changes.changed() => sleep(REPORT_COALESCE).await,
        }
    }

    tracing::info!("stopping: asking the clients to move");
    shell.readiness.set(false);
    accepting.abort();
    shell
        .report
        .send_replace(report(&server, &in_force, generation, ProcessState::Stopping));
    if let Some(draining) = draining {
        draining.abort();
    }
    connections.close();
    tokio::select! {
        () = drain::run(&server.hub, &server.load, SOFT_STOP_CLIENTS_PER_S, SOFT_STOP) => {}
        () = connections.wait() => {}
        () = sleep(SOFT_STOP) => {}
    }
    // Whatever is left is closed; what was acknowledged is committed.
    quit.cancel();
    connections.wait().await;
    links.running.shutdown().await;
    drop(server);
    mesh.stopped().await;
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// Reports follow changes of the load by this time.
const REPORT_COALESCE: Duration = Duration::from_millis(100);

fn server_part(spec: &Spec) -> anyhow::Result<&ServerSpec> {
    match &spec.part {
        Part::Server(part) => Ok(part),
        Part::Balancer(_) | Part::Agent(_) => anyhow::bail!("the spec is not a server's: check --name and the control plane"),
    }
}

fn report(server: &Server, part: &ServerSpec, generation: u64, state: ProcessState) -> Report {
    let status = ServerStatus {
        address: part.address.clone(),
        connections: server.load.connections(),
    };
    Report {
        applied_generation: generation,
        state,
        problem: None,
        part: StatusPart::Server(status),
    }
}

/// Starts, changes or ends the drain that a spec asks for.
fn follow_drain(
    server: &Arc<Server>,
    part: &ServerSpec,
    running: Option<tokio::task::JoinHandle<()>>,
) -> Option<tokio::task::JoinHandle<()>> {
    if let Some(running) = running {
        running.abort();
    }
    server.load.set_draining(part.drain.is_some());
    let drain = part.drain.clone()?;
    let server = Arc::clone(server);
    Some(tokio::spawn(async move {
        drain::run(
            &server.hub,
            &server.load,
            drain.clients_per_s,
            Duration::from_millis(drain.within_ms),
        )
        .await;
    }))
}

/// Takes connections until it is aborted.
async fn accept(server: Arc<Server>, listener: TcpListener, connections: TaskTracker, quit: CancellationToken) {
    let mut next = 0;
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                next += 1;
                connections.spawn(connection::serve(
                    Arc::clone(&server),
                    socket,
                    ConnectionId(next),
                    quit.child_token(),
                ));
            }
            Err(error) => {
                // Out of descriptors, mostly: those that end make room.
                tracing::warn!(%error, "the client listener can't accept");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// The links to the balancers.
struct Links {
    introduction: link::Introduction,
    running: JoinSet<()>,
    balancers: Vec<(fastchat_wire::control::Peer, tokio::task::AbortHandle)>,
}

impl Links {
    /// Keeps links to the spec's balancers and no others.
    fn follow(&mut self, part: &ServerSpec, load: &Arc<LoadMeter>) {
        self.balancers.retain(|(balancer, running)| {
            let stays = part.balancers.contains(balancer);
            if !stays {
                running.abort();
                load.reserved(&balancer.name, None);
            }
            stays
        });
        for balancer in &part.balancers {
            if !self.balancers.iter().any(|(known, _)| known == balancer) {
                let running = self
                    .running
                    .spawn(link::run(self.introduction.clone(), balancer.clone(), Arc::clone(load)));
                self.balancers.push((balancer.clone(), running));
            }
        }
    }
}
