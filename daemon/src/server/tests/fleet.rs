//! Servers in this process, with the control plane's end of their shells.

use super::{Client, PATIENCE, proxy::Proxy};
use crate::{
    net::transport::Transport,
    probes::Readiness,
    server::{self, Limits, Listeners},
    shell::{Report, Shell},
    store::{LogStore, logs::Append, sqlite::SqliteStore},
};
use bytes::Bytes;
use fastchat_wire::Secret;
use fastchat_wire::{
    LogId, Secret32,
    control::{Part, Peer, ProcessState, ServerSpec, ServerStatus, ShedStatus, Spec, StatusPart},
};
use fastchatd_testing::NatsServer;
use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(super) struct Fleet {
    pub(super) servers: Vec<Server>,
    /// What bytes from one server to another pass through, where asked for.
    proxies: HashMap<(usize, usize), Proxy>,
    /// The broker, and what each server's bytes to it pass through, where there is one.
    broker: Option<NatsServer>,
    broker_proxies: Vec<Proxy>,
    database: fastchat_schema::Database,
    limits: Limits,
    transport: Transport,
    _folder: tempfile::TempDir,
}

pub(super) struct Server {
    pub(super) clients: SocketAddr,
    pub(super) bus: SocketAddr,
    pub(super) spec: Spec,
    pub(super) specs: watch::Sender<Arc<Spec>>,
    reports: watch::Receiver<Report>,
    pub(super) registry: prometheus::Registry,
    pub(super) shutdown: CancellationToken,
    pub(super) task: JoinHandle<anyhow::Result<()>>,
}

/// Tight enough for a test, loose enough for a busy machine.
pub(super) fn limits() -> Limits {
    Limits {
        sign_in: PATIENCE,
        frame: PATIENCE,
        ping_interval: PATIENCE,
        soft_stop: Duration::from_millis(500),
    }
}

async fn listener(address: SocketAddr) -> TcpListener {
    TcpListener::bind(address).await.unwrap()
}

impl Fleet {
    pub(super) async fn of(count: usize) -> Self {
        Self::start(count, limits(), false, Transport::default(), None).await
    }

    /// One server with other times.
    pub(super) async fn limited(limits: Limits) -> Self {
        Self::start(1, limits, false, Transport::default(), None).await
    }

    /// With a proxy on each link of the mesh.
    pub(super) async fn proxied(count: usize) -> Self {
        Self::start(count, limits(), true, Transport::default(), None).await
    }

    /// With this way to listen and dial.
    pub(super) async fn protected(count: usize, limits: Limits, transport: Transport) -> Self {
        Self::start(count, limits, false, transport, None).await
    }

    /// On a broker, which may be away, with a proxy before it for each server.
    pub(super) async fn on(broker: NatsServer, count: usize) -> Self {
        Self::start(count, limits(), false, Transport::default(), Some(broker)).await
    }

    async fn start(count: usize, limits: Limits, proxied: bool, transport: Transport, broker: Option<NatsServer>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("fastchat.db").display());
        fastchat_schema::migrate(&url).await.unwrap();
        let database = fastchat_schema::Database::open(&url).await.unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut listeners = Vec::new();
        for _ in 0..count {
            let listeners_of_one = Listeners {
                clients: listener(any).await,
                bus: listener(any).await,
            };
            listeners.push(listeners_of_one);
        }
        let buses: Vec<_> = listeners.iter().map(|l| l.bus.local_addr().unwrap()).collect();
        let mut proxies = HashMap::new();
        if proxied {
            for (from, to) in (0..count)
                .flat_map(|from| (0..count).map(move |to| (from, to)))
                .filter(|(a, b)| a != b)
            {
                proxies.insert((from, to), Proxy::to(buses[to]).await);
            }
        }
        let mut broker_proxies = Vec::new();
        if let Some(broker) = &broker {
            for _ in 0..count {
                broker_proxies.push(Proxy::to(broker.address()).await);
            }
        }
        let mut servers = Vec::new();
        for (index, listeners) in listeners.into_iter().enumerate() {
            let peers = (0..count).filter(|other| *other != index).map(|other| Peer {
                name: format!("s{}", other + 1),
                address: proxies
                    .get(&(index, other))
                    .map_or(buses[other], |proxy: &Proxy| proxy.address)
                    .to_string(),
            });
            let part = ServerSpec {
                name: format!("s{}", index + 1),
                listen: listeners.clients.local_addr().unwrap().to_string(),
                address: listeners.clients.local_addr().unwrap().to_string(),
                bus_listen: buses[index].to_string(),
                probe_listen: "127.0.0.1:0".into(),
                database: Secret::new(url.clone()),
                blobs: folder.path().join("blobs").to_str().unwrap().into(),
                fleet_key: Secret32::new([5; 32]),
                weight: 1.0,
                connections_max: 0,
                balancers: Vec::new(),
                bus: Secret::new(
                    broker_proxies
                        .get(index)
                        .map_or_else(|| "mesh".into(), |proxy: &Proxy| format!("nats://{}", proxy.address)),
                ),
                peers: peers.collect(),
                drain: None,
                shed: None,
                limits: fastchat_wire::control::Limits::default(),
            };
            let spec = Spec {
                store: database.store_id().to_owned(),
                generation: 1,
                part: Part::Server(part),
            };
            servers.push(Server::start(spec, listeners, limits, transport.clone()));
        }
        let fleet = Self {
            servers,
            proxies,
            broker,
            broker_proxies,
            database,
            limits,
            transport,
            _folder: folder,
        };
        if fleet.broker.as_ref().is_none_or(NatsServer::runs) {
            fleet.is_linked().await;
        }
        fleet
    }

    /// Waits until every server hears every other one.
    pub(super) async fn is_linked(&self) {
        for server in &self.servers {
            server.links_up(self.servers.len() - 1).await;
        }
    }

    /// What a server's bytes to the broker pass through.
    pub(super) fn broker_link(&self, server: usize) -> &Proxy {
        &self.broker_proxies[server]
    }

    /// The broker.
    pub(super) fn broker(&mut self) -> &mut NatsServer {
        self.broker.as_mut().expect("a fleet on a broker")
    }

    /// A client that is connected to a server, counted from 0, and said hello.
    pub(super) async fn client(&self, server: usize) -> Client {
        Client::dial(self.servers[server].clients).await
    }

    /// Somebody new.
    pub(super) async fn register(&self, server: usize, username: &str) -> Client {
        let mut client = self.client(server).await;
        client.register(username).await;
        client
    }

    /// Appends as a server would that dies before it rings.
    pub(super) async fn append_silently(&self, client: &Client, log: LogId) -> u64 {
        let append = Append {
            log,
            entry: Uuid::now_v7().into(),
            kind: "app".into(),
            account: client.account,
            device: client.device,
            epoch: None,
            at: 1,
            block: Bytes::new(),
        };
        let store = SqliteStore::new(self.database.clone());
        store.append(&[append]).await.unwrap()[0].as_ref().unwrap().seq
    }

    /// The link that carries what `from` tells `to`.
    pub(super) fn link(&self, from: usize, to: usize) -> &Proxy {
        &self.proxies[&(from, to)]
    }

    /// Ends a server hard and starts it again under its name and on its ports.
    pub(super) async fn restart(&mut self, index: usize) {
        let old = &mut self.servers[index];
        old.task.abort();
        let _ = (&mut old.task).await;
        let (clients, bus) = (old.clients, old.bus);
        let listeners = timeout(PATIENCE, async {
            loop {
                if let (Ok(clients), Ok(bus)) = (TcpListener::bind(clients).await, TcpListener::bind(bus).await) {
                    return Listeners { clients, bus };
                }
                sleep(Duration::from_millis(5)).await;
            }
        });
        self.servers[index] = Server::start(old.spec.clone(), listeners.await.unwrap(), self.limits, self.transport.clone());
    }
}

impl Server {
    fn start(spec: Spec, listeners: Listeners, limits: Limits, transport: Transport) -> Self {
        let (specs, followed) = watch::channel(Arc::new(spec.clone()));
        let (report, reports) = watch::channel(Report {
            applied_generation: 0,
            state: ProcessState::Starting,
            problem: None,
            part: StatusPart::Server(ServerStatus {
                address: String::new(),
                connections: 0,
                shed: None,
            }),
        });
        let shell = Shell {
            name: "server".into(),
            state: std::path::PathBuf::from("a server keeps nothing there"),
            spec: followed,
            report,
            shutdown: CancellationToken::new(),
            registry: prometheus::Registry::new(),
            readiness: Readiness::default(),
            trace: crate::probes::TracePage::default(),
            transport,
        };
        Self {
            clients: listeners.clients.local_addr().unwrap(),
            bus: listeners.bus.local_addr().unwrap(),
            spec,
            specs,
            reports,
            registry: shell.registry.clone(),
            shutdown: shell.shutdown.clone(),
            task: tokio::spawn(async move { server::serve(shell, listeners, limits).await }),
        }
    }

    /// A new spec, made from the last one.
    pub(super) fn respec(&mut self, change: impl FnOnce(&mut ServerSpec)) {
        self.spec.generation += 1;
        if let Part::Server(part) = &mut self.spec.part {
            change(part);
        }
        self.specs.send_replace(Arc::new(self.spec.clone()));
    }

    /// Other limits of clients, in force when it returns.
    pub(super) async fn limit(&mut self, change: impl FnOnce(&mut fastchat_wire::control::Limits)) {
        self.respec(|part| change(&mut part.limits));
        let generation = self.spec.generation as f64;
        self.until("generation", "", |applied| applied == generation).await;
    }

    /// How far it is in giving clients away, once that fits.
    pub(super) async fn shed(&mut self, fits: impl Fn(&ShedStatus) -> bool) -> ShedStatus {
        let shed = |report: &Report| match &report.part {
            StatusPart::Server(ServerStatus { shed, .. }) => shed.clone(),
            StatusPart::Balancer(_) | StatusPart::Agent(_) => None,
        };
        let fitting = self.reports.wait_for(|report| shed(report).as_ref().is_some_and(&fits));
        let report = timeout(PATIENCE, fitting)
            .await
            .expect("it never comes so far")
            .expect("the server has ended");
        shed(&report).expect("that was waited for")
    }

    /// The sum of a metric's values, of those with this label where one is given.
    pub(super) fn metric(&self, name: &str, label: &str) -> f64 {
        self.values(name, label).into_iter().sum()
    }

    /// A metric's values, of those with this label where one is given.
    pub(super) fn values(&self, name: &str, label: &str) -> Vec<f64> {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == format!("fastchat_server_{name}"));
        let metrics = family.map_or(&[][..], |family| family.get_metric());
        let fits = |metric: &&prometheus::proto::Metric| label.is_empty() || metric.get_label().iter().any(|l| l.value() == label);
        let value = |metric: &prometheus::proto::Metric| metric.get_counter().get_value() + metric.get_gauge().get_value();
        metrics.iter().filter(fits).map(value).collect()
    }

    /// Waits until a metric fits.
    pub(super) async fn until(&self, name: &str, label: &str, fits: impl Fn(f64) -> bool) {
        let waiting = async {
            while !fits(self.metric(name, label)) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| panic!("{name}{{{label}}} stays {}", self.metric(name, label)));
    }

    /// Waits until so many others are heard.
    pub(super) async fn links_up(&self, count: usize) {
        self.until("bus_link_up", "", |up| up as usize == count).await;
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for server in &self.servers {
            server.task.abort();
        }
    }
}
