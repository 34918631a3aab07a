//! The outermost layer: every request gets an id, a span and its figures, and
//! every answer that is not a success becomes a problem document.

use crate::app::App;
use crate::audit::clip;
use crate::https::Remote;
use crate::problem::Problem;
use axum::{
    body::{Body, to_bytes},
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{sync::Arc, time::Instant};
use tracing::Instrument;

/// Carries the request's id in and out.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The operator's own words for the audit log.
const CHANGE_REASON: HeaderName = HeaderName::from_static("x-change-reason");
/// Longest request id that is taken from outside.
const REQUEST_ID_CHARS_MAX: usize = 64;
/// How much of the framework's own refusals is read.
const REFUSAL_BYTES_MAX: usize = 4_096;

/// What log, audit and errors say of a request.
#[derive(Debug, Clone)]
pub(crate) struct RequestInfo {
    /// Its id.
    pub(crate) id: String,
    /// Address of the client.
    pub(crate) from: String,
    /// HTTP method.
    pub(crate) method: String,
    /// Path, without the query.
    pub(crate) path: String,
    /// `X-Change-Reason`.
    pub(crate) reason: Option<String>,
}

impl RequestInfo {
    /// What [`edge`] found out.
    pub(crate) fn of(request: &Request) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_else(|| Self::read(request))
    }

    fn read(request: &Request) -> Self {
        let from = request.extensions().get::<ConnectInfo<Remote>>();
        Self {
            id: request_id(request.headers()),
            from: from.map_or_else(|| "unknown".to_owned(), |ConnectInfo(Remote(address))| address.ip().to_string()),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            reason: request.headers().get(CHANGE_REASON).and_then(|value| value.to_str().ok()).map(clip),
        }
    }
}

/// The client's own id where it is a harmless one, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let harmless = |id: &&str| {
        (1..=REQUEST_ID_CHARS_MAX).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(harmless);
    given.map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}

/// Wraps every request.
pub(crate) async fn edge(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let info = RequestInfo::read(&request);
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let span = tracing::info_span!("request", id = info.id, method = info.method, path = info.path);
    request.extensions_mut().insert(info.clone());
    let mut response = next.run(request).instrument(span.clone()).await;
    if !response.status().is_success() {
        response = as_problem(response, &info).await;
    }
    if let Ok(id) = HeaderValue::from_str(&info.id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let status = response.status();
    app.metrics.request(&route, &info.method, status.as_u16(), begun.elapsed());
    span.in_scope(|| tracing::debug!(status = status.as_u16(), ms = begun.elapsed().as_millis(), "answered"));
    response
}

async fn as_problem(mut response: Response, info: &RequestInfo) -> Response {
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None => Problem::of_status(status, &text(&mut response).await),
    };
    let problem = Problem {
        instance: Some(info.path.as_str().into()),
        request_id: Some(info.id.as_str().into()),
        ..problem
    };
    if status.is_server_error() {
        tracing::error!(
            request_id = info.id,
            path = info.path,
            status = status.as_u16(),
            detail = problem.detail,
            "a request failed"
        );
    }
    let mut answer = problem.into_response();
    *answer.status_mut() = status;
    // `allow` of a 405, `retry-after` and the like stay.
    for (name, value) in response.headers() {
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}

/// What the framework says of its refusal. A panic's words stay in the log.
async fn text(response: &mut Response) -> String {
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        return String::new();
    }
    let body = std::mem::replace(response.body_mut(), Body::empty());
    to_bytes(body, REFUSAL_BYTES_MAX)
        .await
        .map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned())
        .unwrap_or_default()
}
