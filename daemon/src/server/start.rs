//! Opening what a server needs, and starting its own tasks.

use super::{
    Limits, Server,
    admission::Admission,
    appender::Appender,
    blobs::{Blobs, Objects, Sweeper},
    context::{Context, now_ms},
    delivery::Delivery,
    hub::Hub,
    link::Introduction,
    load::LoadMeter,
    mend,
    metrics::{CLIENTS, OTHER_SERVERS, ServerMetrics},
    news::{self, Announcer},
    password::Passwords,
    peers::Peers,
};
use crate::{
    bus::{Bus, BusEvent, mesh::Mesh, nats::Nats},
    fleet_key::FleetKey,
    net::{door::Door, transport::Transport},
    store::{
        Store,
        postgres::{AppendPaths, PostgresStore},
        sqlite::SqliteStore,
    },
};
use anyhow::Context as _;
use fastchat_schema::Opened;
use fastchat_wire::control::{BusPlace, ServerSpec, Spec};
use std::{
    num::NonZeroUsize,
    sync::{Arc, atomic::AtomicU64},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A server that is ready to accept.
pub(super) struct Started {
    pub(super) server: Arc<Server>,
    pub(super) bus: Arc<dyn Bus>,
    /// Appender, delivery, news, peers: they end when the server is dropped.
    pub(super) tasks: TaskTracker,
    /// Ends connections and the bus.
    pub(super) quit: CancellationToken,
}

/// Opens the store, and starts the server's own tasks.
///
/// # Errors
/// One line that says what is in the way and what to do.
pub(super) async fn start(
    spec: &Spec,
    part: &ServerSpec,
    listener: TcpListener,
    metrics: ServerMetrics,
    limits: Limits,
    transport: &Transport,
) -> anyhow::Result<Started> {
    let store: Arc<dyn Store> = open_store(part.database.expose(), &metrics).await?;
    let store_id = store.store_id().await.context("the store has no id: run `fastchatd migrate`")?;
    anyhow::ensure!(
        store_id == spec.store,
        "the database is store {store_id}, the spec is for store {}: check --database of the control plane",
        spec.store
    );
    let objects = Objects::open(&part.blobs)?;
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let passwords = Passwords::new(cores).context("Argon2 does not start")?;

    let key = FleetKey::new(part.fleet_key.clone());
    let quit = CancellationToken::new();
    let (bus, events) = start_bus(spec, part, &key, listener, transport, &metrics, &quit)?;

    let tasks = TaskTracker::new();
    let hub = Arc::new(Hub::new());
    let peers = Arc::new(Peers::new(Arc::clone(&hub), Arc::clone(&bus), metrics.clone()));
    let delivery = Delivery::start(Arc::clone(&store), Arc::clone(&hub), Arc::clone(&peers), metrics.clone(), &tasks);
    let appender = Appender::start(&store, &delivery, &metrics, &tasks);
    let (announcer, announced) = Announcer::new();
    tasks.spawn(news::run(
        announced,
        Arc::clone(&store),
        Arc::clone(&hub),
        Arc::clone(&peers),
        delivery.clone(),
    ));
    let listening = quit.clone();
    let (peers_of_bus, delivery_of_bus) = (Arc::clone(&peers), delivery.clone());
    tasks.spawn(async move {
        listening.run_until_cancelled(peers_of_bus.run(events, delivery_of_bus)).await;
    });

    let (telling, watching) = (quit.clone(), Arc::clone(&peers));
    tasks.spawn(async move {
        telling.run_until_cancelled(watching.tell_presence()).await;
    });

    let mending = quit.clone();
    let mend = mend::run(Arc::clone(&peers), Arc::clone(&store), Arc::clone(&hub), delivery.clone());
    tasks.spawn(async move {
        mending.run_until_cancelled(mend).await;
    });

    let (blob_policy, policy) = watch::channel(part.limits.blobs);
    let sweeper = Sweeper {
        server: part.name.clone(),
        store: Arc::clone(&store),
        objects: objects.clone(),
        policy: policy.clone(),
        measures: metrics.blobs.clone(),
        clock: Box::new(now_ms),
    };
    let sweeping = quit.clone();
    tasks.spawn(async move {
        sweeping.run_until_cancelled(sweeper.run()).await;
    });

    let load = Arc::new(LoadMeter::new(
        metrics.connections.clone(),
        metrics.bytes_in.clone(),
        metrics.bytes_out.clone(),
    ));
    let admission = Arc::new(Admission::new(part.limits.clone(), metrics.limited.clone()));
    let (sweeping, swept) = (quit.clone(), Arc::clone(&admission));
    tasks.spawn(async move {
        sweeping.run_until_cancelled(swept.sweep()).await;
    });
    let context = Context {
        name: part.name.clone(),
        store_id,
        store,
        blobs: Blobs {
            objects,
            policy,
            measures: metrics.blobs.clone(),
        },
        passwords,
        fleet_key: key,
        announcer,
    };
    let server = Server {
        context,
        appender,
        delivery,
        hub,
        peers,
        load,
        door: Door::new(transport.acceptor(), &metrics.doors, CLIENTS),
        metrics,
        limits,
        admission,
        connections_max: AtomicU64::new(part.connections_max),
        blob_policy,
    };
    Ok(Started {
        server: Arc::new(server),
        bus,
        tasks,
        quit,
    })
}

/// Starts the bus that the spec names. It may be away: that is no reason not to start.
fn start_bus(
    spec: &Spec,
    part: &ServerSpec,
    key: &FleetKey,
    listener: TcpListener,
    transport: &Transport,
    metrics: &ServerMetrics,
    quit: &CancellationToken,
) -> anyhow::Result<(Arc<dyn Bus>, mpsc::Receiver<BusEvent>)> {
    let door = Door::new(transport.acceptor(), &metrics.doors, OTHER_SERVERS);
    let (name, metrics, quit) = (part.name.clone(), metrics.bus.clone(), quit.clone());
    const CHECK: &str = "check --bus of the control plane";
    let place = BusPlace::parse(part.bus.expose()).context(CHECK)?;
    Ok(match place {
        BusPlace::Mesh => {
            let (mesh, events) = Mesh::start(name, key.clone(), (listener, door), transport.clone(), metrics, quit);
            (mesh, events)
        }
        BusPlace::Nats(place) => {
            place.check_plain(|host| transport.may_be_plain_to(host)).context(CHECK)?;
            let (nats, events) = Nats::start(name, &spec.store, key, place, metrics, quit);
            (nats, events)
        }
    })
}

/// How the server introduces itself to balancers.
pub(super) fn introduction(part: &ServerSpec) -> Introduction {
    Introduction {
        server: part.name.clone(),
        address: part.address.clone(),
        weight: part.weight,
        key: FleetKey::new(part.fleet_key.clone()),
    }
}

async fn open_store(url: &str, metrics: &ServerMetrics) -> anyhow::Result<Arc<dyn Store>> {
    Ok(match fastchat_schema::open(url).await? {
        Opened::Sqlite(database) => Arc::new(SqliteStore::new(database)),
        Opened::Postgres(database) => Arc::new(PostgresStore::new(database, AppendPaths::new(&metrics.append_paths))),
    })
}
