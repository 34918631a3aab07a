//! A control plane in this process: router, reconciler on demand, SQLite in a folder.

use crate::app::App;
use crate::denials::Denials;
use crate::desired::{Edit, Settings};
use crate::metrics::Metrics;
use crate::routes::{TABLE, router};
use crate::store::{self, Change, ControlStore};
use crate::testing::host;
use crate::tokens::{TokenDigest, process_token};
use crate::{desired::Host, reconciler};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use fastchat_wire::Secret;
use fastchat_wire::control::{Role, Status, status_path};
use serde_json::Value;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The admin's token.
pub(super) const TOKEN: &str = "the-admin-token";

/// A control plane in this process.
pub(super) struct Plane {
    pub(super) app: Arc<App>,
    pub(super) router: Router,
    pub(super) store: Arc<dyn ControlStore>,
    pub(super) tasks: JoinSet<()>,
    pub(super) folder: Arc<tempfile::TempDir>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Plane {
    /// A new one, with the host `h1`.
    pub(super) async fn new() -> Self {
        let plane = Self::open(Arc::new(tempfile::tempdir().unwrap())).await;
        let settings = Settings {
            control: "http://127.0.0.1:7100".into(),
            database: Secret::new("sqlite:/db".into()),
            blobs: "/blobs".into(),
            bus: Secret::new("mesh".into()),
        };
        plane.edit(vec![Edit::SetSettings(settings), Edit::PutHost(host("h1"))]).await;
        plane
    }

    async fn open(folder: Arc<tempfile::TempDir>) -> Self {
        let store = store::open(&format!("sqlite:{}/fastchat.db", folder.path().display()))
            .await
            .unwrap();
        let (denials, writer) = Denials::new();
        let metrics = Metrics::new(TABLE).unwrap();
        let app = App::load(store.clone(), metrics, denials, TokenDigest::of(TOKEN), CancellationToken::new())
            .await
            .unwrap();
        let app = Arc::new(app);
        let mut tasks = JoinSet::new();
        tasks.spawn(writer.run(store.clone()));
        Self {
            router: router(&app),
            app,
            store,
            tasks,
            folder,
        }
    }

    /// The same database under a new control plane, which has heard of nobody.
    pub(super) async fn restart(mut self) -> Self {
        self.tasks.shutdown().await;
        self.store.close().await;
        let folder = self.folder.clone();
        drop(self);
        Self::open(folder).await
    }

    pub(super) async fn edit(&self, edits: Vec<Edit>) {
        let change = Change {
            based_on: self.app.fleet().generation,
            edits,
            ..Change::default()
        };
        self.app.commit(change).await.unwrap();
    }

    pub(super) async fn add_host(&self, name: &str) {
        self.edit(vec![Edit::PutHost(Host {
            name: name.into(),
            ..host(name)
        })])
        .await;
    }

    /// Any request.
    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into());
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// An operator's request, with JSON and more headers.
    pub(super) async fn call(&self, method: Method, path: &str, body: Option<Value>, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None, &[]).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body), &[]).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None, &[]).await
    }

    pub(super) fn process_token(&self, role: Role, name: &str) -> String {
        process_token(&self.app.fleet().cluster.fleet_key, role, name).expose().to_owned()
    }

    /// A request of a process, with its own token.
    pub(super) async fn as_process(&self, role: Role, name: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        let token = format!("Bearer {}", self.process_token(role, name));
        let request = Request::builder().method(method).uri(path).header(header::AUTHORIZATION, token);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        self.send(
            request
                .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
                .unwrap(),
        )
        .await
    }

    /// A process posts its status, which has the newest generation.
    pub(super) async fn report(&self, role: Role, mut status: Status) {
        status.applied_generation = self.app.fleet().generation;
        let (name, body) = (status.name.clone(), serde_json::to_value(status).unwrap());
        let answer = self
            .as_process(role, &name, Method::POST, &status_path(role, &name), Some(body))
            .await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
    }

    /// One pass of the reconciler.
    pub(super) async fn reconcile(&self) {
        reconciler::pass(&self.app).await.unwrap();
    }
}

impl Answer {
    /// It must be a problem document of that status; answers it.
    pub(super) fn problem(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], status);
        for key in ["type", "title", "detail", "instance", "request_id"] {
            assert!(
                self.body[key].as_str().is_some_and(|text| !text.is_empty()),
                "{key} is missing in {self:?}"
            );
        }
        assert_eq!(self.headers["x-request-id"], self.body["request_id"].as_str().unwrap());
        self.body
    }
}
