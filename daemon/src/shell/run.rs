//! One process's life: lock, spec, probes, role, end.

use super::{
    Report, STOP_MS_MAX, Shell, admit::probe_listen, cache::Cache, control_link::ControlLink, first_spec, follow::Follower,
    instance_lock::InstanceLock, report::Reporter, signals::Signals, systemd,
};
use crate::{
    config::{Process, Source},
    metrics,
    net::transport::Transport,
    probes::{self, Readiness, TracePage},
};
use anyhow::{Context, anyhow};
use fastchat_wire::control::{AgentStatus, BalancerStatus, Part, ProcessState, ServerStatus, Spec, StatusPart};
use std::{
    io,
    path::PathBuf,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// What is left to do after the role's end takes no longer.
const TIDY: Duration = Duration::from_millis(700);

/// Signals within this time are one request: a Ctrl-C reaches a process from the terminal and from its supervisor.
const SAME_STOP: Duration = Duration::from_secs(1);

/// Runs a role until a signal says stop.
///
/// # Errors
/// Another process of this name runs, the folder can't be written, the probes'
/// port is taken, the role failed, or it had to be stopped hard.
pub(crate) async fn run<R>(process: &Process, role: impl FnOnce(Shell) -> R) -> anyhow::Result<()>
where
    R: Future<Output = anyhow::Result<()>>,
{
    let started_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() as u64);
    let mut signals = Signals::catch().context("can't catch signals")?;
    let _lock = InstanceLock::take(&process.state)?;
    let transport = Transport::new(&process.protection)?;
    let cache = Cache::new(&process.state);
    let origin = match &process.source {
        Source::Control { url, token_file } => Origin::Control(ControlLink::new(url, token_file.clone(), process)?),
        Source::File(path) => Origin::File(path.clone()),
    };
    let first = tokio::select! {
        biased;
        signal = signals.next() => {
            tracing::info!(signal, "ending before the first spec came");
            return Ok(());
        }
        never = systemd::wait_for_spec() => match never {},
        first = first_spec(process, &origin, &cache) => first?,
    };
    let probes = listen(probe_listen(&first)).await?;
    tracing::info!(role = %process.role, name = process.name, generation = first.generation, version = metrics::VERSION, "starting");

    let (report, reports) = watch::channel(starting(&first));
    let (spec, specs) = watch::channel(Arc::new(first));
    let (problem, problems) = watch::channel(None);
    let shell = Shell {
        name: process.name.clone(),
        state: process.state.clone(),
        spec: specs,
        report: report.clone(),
        shutdown: CancellationToken::new(),
        registry: metrics::registry(process.role)?,
        readiness: Readiness::default(),
        trace: TracePage::default(),
        transport,
    };
    let follower = Follower {
        role: process.role,
        name: process.name.clone(),
        cache: matches!(origin, Origin::Control(_)).then_some(cache),
        spec,
        problem: problem.clone(),
    };
    let ended = CancellationToken::new();
    let mut links = JoinSet::new();
    links.spawn(systemd::run(shell.readiness.clone(), reports.clone()));
    let mut tidy = JoinSet::new();
    match origin {
        Origin::Control(link) => {
            let reporter = Reporter {
                link: link.clone(),
                name: process.name.clone(),
                started_at,
                report: reports,
                problem: problems,
            };
            tidy.spawn(reporter.run(ended.clone()));
            links.spawn(follower.follow_control(link));
        }
        Origin::File(path) => {
            links.spawn(async move { follower.follow_file(&path).await });
        }
    }
    let mut serving = JoinSet::new();
    serving.spawn(probes::serve(
        probes,
        shell.registry.clone(),
        shell.readiness.clone(),
        shell.trace.clone(),
        ended.clone(),
    ));
    let shutdown = shell.shutdown.clone();
    let outcome = {
        let role = pin!(role(shell));
        tokio::select! {
            outcome = role => match outcome {
                Ok(()) if !shutdown.is_cancelled() => Err(anyhow!("the role ended without being asked to")),
                outcome => outcome,
            },
            reason = hard_stop(&mut signals, &shutdown) => Err(reason),
            Some(served) = serving.join_next() => Err(anyhow!("the probes' listener failed: {served:?}")),
            Some(over) = links.join_next() => Err(anyhow!("a task of the process failed: {over:?}")),
        }
    };
    ended.cancel();
    if tokio::time::timeout(TIDY, tidy.join_all()).await.is_err() {
        tracing::debug!("the last status took too long");
    }
    drop((report, problem));
    tracing::info!(clean = outcome.is_ok(), "ended");
    outcome
}

/// Where specs come from.
enum Origin {
    Control(ControlLink),
    File(PathBuf),
}

async fn first_spec(process: &Process, origin: &Origin, cache: &Cache) -> anyhow::Result<Spec> {
    match origin {
        Origin::File(path) => first_spec::from_file(path, process.role, &process.name),
        Origin::Control(link) => first_spec::from_control(link, cache, process.role, &process.name).await,
    }
}

async fn listen(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow!("the probes' port {address} is in use; end the process that has it, or change the spec's probe_listen")
        }
        _ => anyhow!("the probes can't listen on {address}: {error}; change the spec's probe_listen"),
    })
}

/// Turns signals into `shutdown`; returns when the soft stop is over, and why.
async fn hard_stop(signals: &mut Signals, shutdown: &CancellationToken) -> anyhow::Error {
    let signal = signals.next().await;
    let asked_at = Instant::now();
    tracing::info!(signal, "stopping softly");
    shutdown.cancel();
    systemd::stopping();
    let again = async {
        loop {
            let signal = signals.next().await;
            if asked_at.elapsed() >= SAME_STOP {
                return signal;
            }
        }
    };
    tokio::select! {
        signal = again => anyhow!("stopped hard by a second signal ({signal})"),
        () = tokio::time::sleep(Duration::from_millis(STOP_MS_MAX)) => anyhow!("stopped hard: the soft stop took more than {STOP_MS_MAX} ms"),
    }
}

/// What is reported until the role speaks for itself.
fn starting(spec: &Spec) -> Report {
    let part = match &spec.part {
        Part::Server(part) => StatusPart::Server(ServerStatus {
            address: part.address.clone(),
            ..ServerStatus::default()
        }),
        Part::Balancer(part) => StatusPart::Balancer(BalancerStatus {
            address: part.listen.clone(),
            ..BalancerStatus::default()
        }),
        Part::Agent(part) => StatusPart::Agent(AgentStatus {
            host: part.host.clone(),
            ..AgentStatus::default()
        }),
    };
    Report {
        applied_generation: 0,
        state: ProcessState::Starting,
        problem: None,
        part,
    }
}
