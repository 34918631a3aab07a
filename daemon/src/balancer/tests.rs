//! The balancer over real sockets on port 0: what clients, servers and the
//! control plane notice.

mod clients;
mod limits;
mod links;
mod peer;
mod pipes;
mod specs;
mod tls;
mod trials;
mod waits;

use super::*;
use crate::{fleet_key::FleetKey, net::transport::Transport, probes::Readiness};
use fastchat_wire::{
    Secret32,
    control::{BalancerServer, Balancing},
};
use peer::{Peer, attach_as};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use tokio::task::JoinHandle;

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

fn fleet_key() -> FleetKey {
    FleetKey::new(Secret32::new([5; 32]))
}

fn balancer_spec(strategy: &str) -> BalancerSpec {
    BalancerSpec {
        name: "b1".into(),
        listen: "127.0.0.1:7101".into(),
        link_listen: "127.0.0.1:7102".into(),
        probe_listen: "127.0.0.1:7103".into(),
        fleet_key: Secret32::new([5; 32]),
        balancing: Balancing {
            strategy: strategy.into(),
            // Servers attach with clients or without, and count alike.
            parameters: BTreeMap::from([("slow_start_s".to_owned(), 0.into())]),
            generation: 1,
        },
        trial: None,
        balancers: 1,
        ticket_ms: 10_000,
        excluded: Vec::new(),
        connections_max: BTreeMap::new(),
        limits: fastchat_wire::control::Limits::default(),
    }
}

fn spec(generation: u64, part: BalancerSpec) -> Arc<Spec> {
    Arc::new(Spec {
        store: "store".into(),
        generation,
        part: Part::Balancer(part),
    })
}

/// A balancer in this process, with the control plane's end of its shell.
struct Balancer {
    clients: SocketAddr,
    links: SocketAddr,
    specs: watch::Sender<Arc<Spec>>,
    reports: watch::Receiver<Report>,
    registry: prometheus::Registry,
    readiness: Readiness,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
    folder: Arc<tempfile::TempDir>,
}

fn shell(first: Arc<Spec>, folder: &tempfile::TempDir) -> (Shell, watch::Sender<Arc<Spec>>, watch::Receiver<Report>) {
    let (specs, spec) = watch::channel(first);
    let (report, reports) = watch::channel(Report {
        applied_generation: 0,
        state: ProcessState::Starting,
        problem: None,
        part: StatusPart::Balancer(BalancerStatus::default()),
    });
    let shell = Shell {
        name: "b1".into(),
        state: folder.path().to_owned(),
        spec,
        report,
        shutdown: CancellationToken::new(),
        registry: prometheus::Registry::new(),
        readiness: Readiness::default(),
        trace: crate::probes::TracePage::default(),
        transport: Transport::default(),
    };
    (shell, specs, reports)
}

/// Tight enough for a test, loose enough for a busy machine.
fn limits() -> Limits {
    Limits {
        report_interval: Duration::from_millis(5),
        link_silence: PATIENCE,
        ..Limits::default()
    }
}

impl Balancer {
    async fn start(strategy: &str) -> Self {
        Self::start_with(strategy, limits()).await
    }

    async fn start_with(strategy: &str, limits: Limits) -> Self {
        Self::start_protected(strategy, limits, Transport::default()).await
    }

    async fn start_protected(strategy: &str, limits: Limits, transport: Transport) -> Self {
        Self::start_as(balancer_spec(strategy), limits, transport).await
    }

    async fn start_by(part: BalancerSpec) -> Self {
        Self::start_as(part, limits(), Transport::default()).await
    }

    async fn start_as(part: BalancerSpec, limits: Limits, transport: Transport) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), part, limits, transport).await
    }

    /// Ends it, and starts it again in its folder by another first spec.
    async fn restart_by(self, part: BalancerSpec) -> Self {
        self.shutdown.cancel();
        timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
        Self::start_in(self.folder, part, limits(), Transport::default()).await
    }

    async fn start_in(folder: Arc<tempfile::TempDir>, part: BalancerSpec, limits: Limits, transport: Transport) -> Self {
        let (mut shell, specs, reports) = shell(spec(1, part.clone()), &folder);
        let given_up = GivenUp::open(folder.path(), "store");
        shell.transport = transport;
        let listeners = Listeners {
            clients: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            links: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        };
        Self {
            clients: listeners.clients.local_addr().unwrap(),
            links: listeners.links.local_addr().unwrap(),
            specs,
            reports,
            registry: shell.registry.clone(),
            readiness: shell.readiness.clone(),
            shutdown: shell.shutdown.clone(),
            task: tokio::spawn(async move { serve(shell, 1, &part, given_up, listeners, limits).await }),
            folder,
        }
    }

    async fn client(&self) -> Peer {
        Peer::dial(self.clients).await
    }

    /// A server's link, attached with so many connections.
    async fn server(&self, name: &str, connections: u64) -> Peer {
        let mut link = Peer::dial(self.links).await;
        let answer = link.ask(&attach_as(name, connections)).await;
        assert!(answer.failure().is_none(), "{:?}", answer.failure());
        link
    }

    /// The first report that fits.
    async fn reported(&mut self, fits: impl Fn(&Report, &BalancerStatus) -> bool) -> Report {
        let fits = |report: &Report| matches!(&report.part, StatusPart::Balancer(status) if fits(report, status));
        let report = timeout(PATIENCE, self.reports.wait_for(fits)).await;
        report.expect("no such report").expect("the balancer has ended").clone()
    }

    /// A metric's value, from all of its labels' values that contain `label`.
    fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).expect("no such metric");
        let fits = |metric: &&prometheus::proto::Metric| metric.get_label().iter().any(|l| l.value() == label) || label.is_empty();
        let values = family.get_metric().iter().filter(fits);
        values
            .map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value())
            .sum()
    }
}

#[tokio::test]
async fn the_balancer_is_ready_from_start_to_stop_and_stops_at_once() {
    let mut balancer = Balancer::start("least-load").await;
    let ready = balancer.reported(|report, _| report.state == ProcessState::Ready).await;
    assert_eq!((ready.applied_generation, ready.problem), (1, None));
    assert!(balancer.readiness.is_ready());
    let mut client = balancer.client().await;
    let mut server = balancer.server("s1", 0).await;
    balancer.shutdown.cancel();
    timeout(PATIENCE, balancer.task).await.unwrap().unwrap().unwrap();
    assert!(!balancer.readiness.is_ready());
    assert_eq!(balancer.reports.borrow().state, ProcessState::Stopping);
    client.expect_end().await;
    server.expect_end().await;
}

#[tokio::test]
async fn a_port_in_use_ends_the_start_with_one_line_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut part = balancer_spec("random");
    part.listen.clone_from(&address);
    let folder = tempfile::tempdir().unwrap();
    let (shell, _specs, _reports) = shell(spec(1, part), &folder);
    let readiness = shell.readiness.clone();
    let line = format!("{:#}", run(shell).await.unwrap_err());
    assert!(line.starts_with(&format!("can't listen on {address} for clients: ")), "{line}");
    assert!(!line.contains('\n'));
    assert!(!readiness.is_ready());
}

#[tokio::test]
async fn a_stop_before_the_first_spec_is_a_stop() {
    let server_like = Spec {
        store: String::new(),
        generation: 0,
        part: Part::Agent(fastchat_wire::control::AgentSpec {
            host: "h1".into(),
            probe_listen: "127.0.0.1:0".into(),
            instances: Vec::new(),
        }),
    };
    let folder = tempfile::tempdir().unwrap();
    let (shell, _specs, _reports) = shell(Arc::new(server_like), &folder);
    shell.shutdown.cancel();
    run(shell).await.unwrap();
}
