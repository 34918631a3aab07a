//! Errors of the REST interface: RFC 9457 problem documents, for every answer that is not a success.
//!
//! Handlers return a [`Problem`]; [`crate::edge`] fills in `instance` and
//! `request_id`, and turns what the framework itself refuses into one too.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

/// Media type of problem documents.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong, for programs (`type`, `status`, `errors`) and people (`title`, `detail`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// Stable name, `urn:fastchat:problem:…`.
    #[serde(rename = "type")]
    pub(crate) kind: Box<str>,
    /// The same for every occurrence.
    pub(crate) title: Box<str>,
    /// HTTP status.
    pub(crate) status: u16,
    /// What happened here, and what to do.
    pub(crate) detail: String,
    /// Path of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<Box<str>>,
    /// Id of the request, also in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<Box<str>>,
    /// What is wrong where in the request's body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<Fault>,
}

/// One fault in a request's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fault {
    /// JSON pointer (RFC 6901); empty for the whole body.
    pub(crate) pointer: String,
    /// What is wrong and what would be right.
    pub(crate) detail: String,
}

impl Problem {
    fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:fastchat:problem:{kind}").into(),
            title: title.into(),
            status: status.as_u16(),
            detail: detail.into(),
            instance: None,
            request_id: None,
            errors: Vec::new(),
        }
    }

    /// 400: the request can't be read.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request can't be read", detail)
    }

    /// 401: no token, or one that nobody has.
    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid bearer token is needed", detail)
    }

    /// 403: a good token with too small a role.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The token's role is too small", detail)
    }

    /// 404: no such thing.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
    }

    /// 409: the fleet's state forbids it.
    pub(crate) fn conflict(kind: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, kind, "The fleet's state forbids it", detail)
    }

    /// 412: the document has changed since.
    pub(crate) fn stale(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "stale", "The document has changed", detail)
    }

    /// 422: the request is readable but not possible.
    pub(crate) fn invalid(detail: impl Into<String>, errors: Vec<Fault>) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The request is not possible", detail);
        Self { errors, ..problem }
    }

    /// 422 about one place of the body.
    pub(crate) fn invalid_at(pointer: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::invalid(
            detail.clone(),
            vec![Fault {
                pointer: pointer.to_owned(),
                detail,
            }],
        )
    }

    /// 428: a write without If-Match.
    pub(crate) fn precondition_required(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition-required",
            "If-Match is needed",
            detail,
        )
    }

    /// 500: a fault of ours; the log has more under the request's id.
    pub(crate) fn internal() -> Self {
        let detail = "a fault of the control plane; its log has more under this request_id";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "A fault of the control plane",
            detail,
        )
    }

    /// 503: the database can't be used now.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not possible at the moment", detail)
    }

    /// 504: it took too long.
    pub(crate) fn timeout(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "It took too long", detail)
    }

    /// Of a refusal that comes from the framework, by its status and text.
    pub(crate) fn of_status(status: StatusCode, text: &str) -> Self {
        let said = |otherwise: &str| if text.is_empty() { otherwise.to_owned() } else { text.to_owned() };
        match status {
            StatusCode::NOT_FOUND => Self::not_found(said("nothing is served at this path; the resources are under /v1")),
            StatusCode::METHOD_NOT_ALLOWED => {
                let detail = said("this path does not take this method; the allow header lists those it takes");
                Self::new(status, "method-not-allowed", "The method is not allowed here", detail)
            }
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(
                status,
                "too-large",
                "The body is too large",
                said("send a smaller body; the limit is 64 KiB"),
            ),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::new(
                status,
                "unsupported-media-type",
                "The body is not JSON",
                said("send content-type: application/json"),
            ),
            StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => Self::timeout(said("try again")),
            StatusCode::BAD_REQUEST => Self::bad_request(said("the request is not valid HTTP for this path")),
            status if status.is_server_error() => Self {
                status: status.as_u16(),
                ..Self::internal()
            },
            status => Self::new(
                status,
                "refused",
                status.canonical_reason().unwrap_or("Refused"),
                said("the request was refused"),
            ),
        }
    }

    /// HTTP status; 500 where a stored document has none.
    pub(crate) fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status_code();
        let challenge = (status == StatusCode::UNAUTHORIZED).then_some(HeaderValue::from_static("Bearer"));
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))], body).into_response();
        if let Some(challenge) = challenge {
            response
                .headers_mut()
                .insert(HeaderName::from_static("www-authenticate"), challenge);
        }
        response.extensions_mut().insert(self);
        response
    }
}
