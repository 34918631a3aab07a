//! `Idempotency-Key` on POST: the same request again gets the same answer, once done.
//!
//! The receipt is written in the change's own transaction, so there is no moment
//! at which the change stands and the key is unknown. Refusals are not kept.

use crate::app::{App, ChangeError, Decision};
use crate::auth::Caller;
use crate::clock;
use crate::desired::{Edit, Fleet};
use crate::operation::Operation;
use crate::problem::{Fault, Problem};
use crate::store::Receipt;
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The key's header.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest key.
const KEY_CHARS_MAX: usize = 255;

/// What a POST comes to: its edits, what it starts, what the audit log says.
pub(crate) struct Start {
    /// What changes.
    pub(crate) edits: Vec<Edit>,
    /// The operation that it starts.
    pub(crate) operation: Operation,
    /// What the audit log says.
    pub(crate) change: Value,
}

/// Makes the change of a POST, once for each key, and answers 202 with its operation.
pub(crate) async fn start(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    body: &[u8],
    decide: impl Fn(&Fleet) -> Result<Start, Problem>,
) -> Result<Response, Problem> {
    let key = key(headers)?;
    let fingerprint = fingerprint(caller, body);
    if let Some(answer) = replay(app, caller, key.as_deref(), &fingerprint).await? {
        return Ok(answer);
    }
    let done = app
        .change(|fleet| {
            let Start {
                mut edits,
                operation,
                change,
            } = decide(fleet)?;
            let answer = Answer::accepted(&operation)?;
            let receipt = key.as_ref().map(|key| answer.receipt(caller, key.clone(), fingerprint));
            edits.push(Edit::PutOperation(operation));
            Ok(Decision {
                edits,
                audit: Some(caller.changed(answer.status, change)),
                receipt,
                value: answer,
            })
        })
        .await;
    match done {
        Ok(answer) => Ok(answer.into_response()),
        Err(ChangeError::KeyUsed) => {
            let answer = replay(app, caller, key.as_deref(), &fingerprint).await?;
            answer.ok_or_else(|| ChangeError::KeyUsed.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// An answer that can be kept.
struct Answer {
    status: u16,
    location: String,
    body: String,
}

impl Answer {
    fn accepted(operation: &Operation) -> Result<Self, Problem> {
        let body = serde_json::to_string(operation).map_err(|_| Problem::internal())?;
        Ok(Self {
            status: StatusCode::ACCEPTED.as_u16(),
            location: operation.path(),
            body,
        })
    }

    fn receipt(&self, caller: &Caller, key: String, fingerprint: [u8; 32]) -> Receipt {
        Receipt {
            principal: caller.principal.to_string(),
            key,
            fingerprint,
            status: self.status,
            location: self.location.clone(),
            body: self.body.clone(),
            created_at: clock::now_ms(),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::ACCEPTED);
        let mut response = (
            status,
            [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
            self.body,
        )
            .into_response();
        if let Ok(location) = HeaderValue::from_str(&self.location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

/// 202 with an operation and where to follow it.
pub(crate) fn accepted(operation: &Operation) -> Result<Response, Problem> {
    Answer::accepted(operation).map(IntoResponse::into_response)
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = value.to_str().ok().filter(|key| (1..=KEY_CHARS_MAX).contains(&key.len()));
    let refusal = || Problem::bad_request(format!("Idempotency-Key is 1 to {KEY_CHARS_MAX} visible ASCII characters"));
    key.map(|key| Some(key.to_owned())).ok_or_else(refusal)
}

fn fingerprint(caller: &Caller, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(caller.request.method.as_bytes());
    hash.update([0]);
    hash.update(caller.request.path.as_bytes());
    hash.update([0]);
    hash.update(body);
    hash.finalize().into()
}

async fn replay(app: &App, caller: &Caller, key: Option<&str>, fingerprint: &[u8; 32]) -> Result<Option<Response>, Problem> {
    let Some(key) = key else { return Ok(None) };
    let Some(receipt) = app.store.receipt(&caller.principal.to_string(), key, clock::now_ms()).await? else {
        return Ok(None);
    };
    if receipt.fingerprint != *fingerprint {
        let detail = "this Idempotency-Key was used for another request; use a new one";
        return Err(Problem::invalid(
            detail,
            vec![Fault {
                pointer: String::new(),
                detail: detail.to_owned(),
            }],
        ));
    }
    let Receipt {
        status, location, body, ..
    } = receipt;
    Ok(Some(Answer { status, location, body }.into_response()))
}
