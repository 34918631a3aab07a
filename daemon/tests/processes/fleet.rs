//! A control plane of a few lines, and real `fastchatd` processes under it.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use fastchat_wire::{
    Secret,
    control::{AgentSpec, AgentStatus, InstanceSpec, Part, Role, Spec, Status, StatusPart},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

/// Name of the host in these tests.
pub(crate) const HOST: &str = "h1";
const AGENT_TOKEN: &str = "agent-token";

struct Documents {
    spec: watch::Receiver<Option<Spec>>,
    status: watch::Sender<Option<Status>>,
}

/// Answers for the agent; servers and balancers wait for their first spec for ever, and so just run.
pub(crate) struct ControlPlane {
    address: SocketAddr,
    spec: watch::Sender<Option<Spec>>,
    status: watch::Sender<Option<Status>>,
    serving: JoinSet<()>,
}

impl ControlPlane {
    /// Serves on a free port.
    pub(crate) async fn start() -> Self {
        let mut plane = Self {
            address: "127.0.0.1:0".parse().unwrap(),
            spec: watch::Sender::new(None),
            status: watch::Sender::new(None),
            serving: JoinSet::new(),
        };
        plane.come_back().await;
        plane
    }

    /// Serves, on the same port as before.
    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let documents = Arc::new(Documents {
            spec: self.spec.subscribe(),
            status: self.status.clone(),
        });
        let app = Router::new()
            .route("/v1/control/{role}/{name}/spec", get(spec))
            .route("/v1/control/{role}/{name}/status", post(status))
            .with_state(documents);
        self.serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
    }

    /// Dies: connections break, the port is closed.
    pub(crate) async fn die(&mut self) {
        self.serving.shutdown().await;
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Publishes a spec that wants these instances, with their epochs.
    pub(crate) fn want(&self, store: &str, generation: u64, instances: &[(&str, u64)]) {
        self.spec
            .send_replace(Some(agent_spec(store, generation, "127.0.0.1:0", &self.url(), instances)));
    }

    /// Waits for a status of the agent of which `fact` is true.
    pub(crate) async fn told(&self, what: &str, fact: impl Fn(&Status, &AgentStatus) -> bool) -> (Status, AgentStatus) {
        let mut statuses = self.status.subscribe();
        let fact = |status: &Option<Status>| match status {
            Some(status) => match &status.part {
                StatusPart::Agent(agent) => fact(status, agent),
                StatusPart::Server(_) | StatusPart::Balancer(_) => false,
            },
            None => false,
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), statuses.wait_for(fact)).await;
        let status = match waited {
            Ok(status) => status.unwrap().clone().unwrap(),
            Err(_) => panic!("waited in vain until {what}; told was {:#?}", self.status.borrow()),
        };
        match status.part.clone() {
            StatusPart::Agent(agent) => (status, agent),
            StatusPart::Server(_) | StatusPart::Balancer(_) => unreachable!("the fact is one of an agent"),
        }
    }

    /// Forgets what was told before.
    pub(crate) fn forget(&self) {
        self.status.send_replace(None);
    }
}

/// A host's spec.
pub(crate) fn agent_spec(store: &str, generation: u64, probe_listen: &str, control: &str, instances: &[(&str, u64)]) -> Spec {
    let instance = |(name, epoch): &(&str, u64)| InstanceSpec {
        name: (*name).to_owned(),
        role: Role::Server,
        token: Secret::new(format!("{name}-token")),
        control: control.to_owned(),
        epoch: *epoch,
    };
    Spec {
        store: store.to_owned(),
        generation,
        part: Part::Agent(AgentSpec {
            host: HOST.to_owned(),
            probe_listen: probe_listen.to_owned(),
            instances: instances.iter().map(instance).collect(),
        }),
    }
}

async fn spec(
    State(documents): State<Arc<Documents>>,
    Path((role, name)): Path<(String, String)>,
    Query(query): Query<HashMap<String, u64>>,
    headers: HeaderMap,
) -> Response {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if role != "agent" {
        if token != format!("Bearer {name}-token") {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        return std::future::pending().await;
    }
    if token != format!("Bearer {AGENT_TOKEN}") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let after = query["after"];
    let mut specs = documents.spec.clone();
    // Anything but what the agent has, older or not: it is the agent that must refuse.
    let new = specs.wait_for(|spec| spec.as_ref().is_some_and(|spec| spec.generation != after));
    match tokio::time::timeout(Duration::from_secs(2), new).await {
        Ok(spec) => Json(spec.unwrap().clone()).into_response(),
        Err(_) => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn status(
    State(documents): State<Arc<Documents>>,
    Path((role, _)): Path<(String, String)>,
    Json(status): Json<Status>,
) -> StatusCode {
    if role == "agent" {
        documents.status.send_replace(Some(status));
    }
    StatusCode::NO_CONTENT
}

/// A host: its data folder, and the agents that run on it. Leaves no process behind.
pub(crate) struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    /// A new host.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("agent.token"), AGENT_TOKEN).unwrap();
        Self { folder }
    }

    /// The host's data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The command of an agent without its source.
    pub(crate) fn agent(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fastchatd"));
        command
            .args(["agent", "--name", HOST, "--data"])
            .arg(self.data())
            .stdin(Stdio::null());
        command
    }

    /// Starts an agent of this control plane.
    pub(crate) fn start_agent(&self, plane: &ControlPlane, more: &[&str]) -> Agent {
        let mut command = self.agent();
        command
            .args(["--control", &plane.url(), "--token-file"])
            .arg(self.folder.path().join("agent.token"));
        start(command.args(more))
    }

    /// The pid in the lock of an instance.
    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        let lock = self.data().join("processes").join(name).join("lock");
        std::fs::read_to_string(lock).ok()?.trim().parse().ok()
    }

    /// Whether somebody holds the lock of an instance.
    pub(crate) fn runs(&self, name: &str) -> bool {
        let lock = self.data().join("processes").join(name).join("lock");
        std::fs::File::open(lock).is_ok_and(|file| file.try_lock().is_err())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let folders = std::fs::read_dir(self.data().join("processes")).into_iter().flatten();
        for name in folders.filter_map(|folder| folder.ok()?.file_name().into_string().ok()) {
            if self.runs(&name)
                && let Some(pid) = self.pid(&name)
            {
                signal(pid, Signal::KILL);
            }
        }
    }
}

/// Sends a signal to a process of the test.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// An agent that runs; killed when dropped.
pub(crate) struct Agent(Child);

impl Agent {
    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts an agent.
pub(crate) fn start(command: &mut Command) -> Agent {
    Agent(command.stderr(Stdio::null()).spawn().unwrap())
}

/// Ends an agent softly; its exit code and how long it took.
pub(crate) async fn stop(mut agent: Agent) -> (Option<i32>, Duration) {
    let began = Instant::now();
    signal(agent.id(), Signal::TERM);
    let status = tokio::task::spawn_blocking(move || agent.0.wait()).await.unwrap().unwrap();
    (status.code(), began.elapsed())
}
