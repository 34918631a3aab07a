//! The balancer's role: tells each client which server to dial.
//!
//! ```text
//!  clients ──> accept ──> clients ── assign ──┐  (who can't be redirected is piped)
//!  servers ──> accept ──> link ── attach, load ──> dispatcher ──> registry, strategy
//!  spec ────> follow ──── apply ──────────────┘        └──> report ──> status, gauges
//! ```
//!
//! The registry and the strategies are the crate `fastchat-balancing`, which is
//! pure; the dispatcher holds them behind one lock. Everything that must outlive a restart comes back by itself: the
//! strategy from the spec, the counts from the servers' `attach`. A strategy on
//! trial is given up here, by [`trial`], with nobody asked; that it was is in [`given_up`].

mod accept;
mod admission;
mod assign;
mod budget;
mod clients;
mod connection;
mod dispatcher;
mod failure;
mod given_up;
mod limits;
mod link;
mod metrics;
mod pipe;
mod simulate;
#[cfg(test)]
mod tests;
mod trial;

pub(crate) use simulate::Simulation;

use crate::{
    net::door::Door,
    shell::{Report, Shell},
};
use admission::Admission;
use clients::Clients;
use dispatcher::Dispatcher;
use fastchat_wire::control::{BalancerSpec, BalancerStatus, Part, ProcessState, Spec, StatusPart};
use given_up::GivenUp;
use limits::Limits;
use link::Links;
use metrics::Metrics;
use pipe::Pipes;
use std::sync::Arc;
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// The balancer's two sockets.
struct Listeners {
    clients: TcpListener,
    links: TcpListener,
}

/// Runs the balancer until the shell says stop.
///
/// # Errors
/// An address of the spec can't be listened on.
pub(crate) async fn run(mut shell: Shell) -> anyhow::Result<()> {
    let first = tokio::select! {
        () = shell.shutdown.cancelled() => return Ok(()),
        first = shell.spec.wait_for(|spec| matches!(spec.part, Part::Balancer(_))) => match first {
            Ok(first) => Arc::clone(&first),
            // The shell is gone before it had a spec.
            Err(_) => return Ok(()),
        },
    };
    let Part::Balancer(spec) = &first.part else { return Ok(()) };
    let listeners = Listeners {
        clients: shell.transport.listen(&spec.listen, "clients").await?,
        links: shell.transport.listen(&spec.link_listen, "servers").await?,
    };
    let given_up = GivenUp::open(&shell.state, &first.store);
    serve(shell, first.generation, spec, given_up, listeners, Limits::default()).await
}

/// The role on sockets that are open.
async fn serve(
    shell: Shell,
    generation: u64,
    first: &BalancerSpec,
    given_up: GivenUp,
    listeners: Listeners,
    limits: Limits,
) -> anyhow::Result<()> {
    let Shell {
        mut spec,
        report: reports,
        shutdown,
        registry,
        readiness,
        trace,
        transport,
        ..
    } = shell;
    let address = listeners.clients.local_addr()?.to_string();
    let metrics = Metrics::register(&registry)?;
    let dispatcher = Arc::new(Dispatcher::new(
        generation,
        first,
        given_up.kept().cloned(),
        limits.tickets_max,
        metrics.clone(),
        rand::make_rng(),
    ));
    let recorded = Arc::clone(&dispatcher);
    trace.set(move || recorded.trace());
    let admission = Arc::new(Admission::new(&first.limits));
    let clients = Clients {
        dispatcher: Arc::clone(&dispatcher),
        admission: Arc::clone(&admission),
        metrics: metrics.clone(),
        door: Door::new(transport.acceptor(), &metrics.doors, metrics::CLIENTS),
        pipes: Pipes::new(limits.pipes_max),
        transport: transport.clone(),
        limits,
        shutdown: shutdown.clone(),
    };
    let links = Links {
        dispatcher: Arc::clone(&dispatcher),
        door: Door::new(transport.acceptor(), &metrics.doors, metrics::LINKS),
        limits,
        shutdown: shutdown.clone(),
    };
    tracing::info!(address, "the balancer serves");
    readiness.set(true);
    tokio::join!(
        accept::run(
            listeners.clients,
            limits.clients_max,
            limits,
            &shutdown,
            |stream| clients.clone().serve(stream),
            |stream| clients.refuse(stream),
        ),
        accept::run(
            listeners.links,
            limits.links_max,
            limits,
            &shutdown,
            |stream| links.clone().serve(stream),
            |_| tracing::warn!("a link is refused: there are {} already", limits.links_max),
        ),
        follow(&mut spec, first, &dispatcher, &admission, &shutdown),
        admission.sweep(&shutdown),
        report(&reports, &address, &dispatcher, given_up, &metrics, limits, &shutdown),
        look(&clients.door, limits, &shutdown),
        async {
            shutdown.cancelled().await;
            readiness.set(false);
        },
    );
    Ok(())
}

/// Keeps the certificate fresh, and shows until when it is good.
async fn look(door: &Door, limits: Limits, shutdown: &CancellationToken) {
    while shutdown.run_until_cancelled(sleep(limits.look)).await.is_some() {
        door.look();
    }
}

/// Applies each new spec as it comes.
async fn follow(
    specs: &mut watch::Receiver<Arc<Spec>>,
    first: &BalancerSpec,
    dispatcher: &Dispatcher,
    admission: &Admission,
    shutdown: &CancellationToken,
) {
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            changed = specs.changed() => if changed.is_err() {
                // No more specs: the last one stays in force.
                return;
            },
        }
        let newest = Arc::clone(&specs.borrow_and_update());
        if let Part::Balancer(spec) = &newest.part {
            admission.apply(&spec.limits);
            dispatcher.apply(newest.generation, spec, needs_restart(first, spec));
        }
    }
}

/// What of a spec only a restart can apply.
fn needs_restart(first: &BalancerSpec, spec: &BalancerSpec) -> Option<String> {
    let moved = |what: &str, from: &str, to: &str| (from != to).then(|| format!("{what} from {from} to {to}"));
    let moves: Vec<_> = [
        moved("listen", &first.listen, &spec.listen),
        moved("link_listen", &first.link_listen, &spec.link_listen),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!moves.is_empty()).then(|| format!("restart the balancer to change {}", moves.join(" and ")))
}

/// Reports on every spec that was applied, and on every other change at most once in an interval; keeps the gauges,
/// and what was given up before it is told.
async fn report(
    reports: &watch::Sender<Report>,
    address: &str,
    dispatcher: &Dispatcher,
    mut given_up: GivenUp,
    metrics: &Metrics,
    limits: Limits,
    shutdown: &CancellationToken,
) {
    let mut changes = dispatcher.changes();
    let (mut shown, mut budgets) = (Vec::new(), Vec::new());
    loop {
        changes.mark_unchanged();
        let view = dispatcher.view();
        given_up.keep(view.reverted.as_ref());
        metrics.show_servers(&shown, &view.servers, &view.ejected);
        metrics.show_imbalance(&view.imbalance);
        metrics.show_budgets(&budgets, &view.budgets);
        budgets = view.budgets;
        metrics.show_trial(view.trial_left_ms);
        shown.clone_from(&view.servers);
        let report = Report {
            applied_generation: view.applied.generation,
            state: if shutdown.is_cancelled() {
                ProcessState::Stopping
            } else {
                ProcessState::Ready
            },
            problem: view.applied.problem,
            part: StatusPart::Balancer(BalancerStatus {
                address: address.to_owned(),
                balancing_generation: view.balancing_generation,
                reverted: view.reverted,
                servers: view.servers,
                imbalance: view.imbalance,
            }),
        };
        reports.send_if_modified(|last| {
            let changed = *last != report;
            if changed {
                *last = report;
            }
            changed
        });
        if shutdown.is_cancelled() {
            return;
        }
        let next = async {
            sleep(limits.report_interval).await;
            // Where nothing else happens, tickets still run out.
            let _ = timeout(limits.report_interval, changes.changed()).await;
            dispatcher.look();
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            // Somebody may be waiting for that.
            () = dispatcher.applied() => {}
            () = next => {}
        }
    }
}
