//! Bodies and queries of requests, refused as problem documents.

use crate::problem::{Fault, Problem};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, header::CONTENT_TYPE, request::Parts},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error};
use std::time::Duration;

/// Largest body that is read.
pub(crate) const BODY_BYTES_MAX: usize = 64 << 10;

/// A JSON body; an empty one counts as `{}`.
pub(crate) struct JsonBody<T> {
    /// What it says.
    pub(crate) value: T,
    /// As it came.
    pub(crate) raw: Bytes,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let json = request.headers().get(CONTENT_TYPE).is_some_and(|kind| {
            let kind = kind
                .to_str()
                .unwrap_or_default()
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase();
            kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
        });
        let raw = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Problem::of_status(rejection.status(), ""))?;
        if raw.is_empty() {
            return parse(b"{}").map(|value| Self { value, raw });
        }
        if !json {
            return Err(Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, ""));
        }
        let value = parse(&raw)?;
        Ok(Self { value, raw })
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        if error.is_data() {
            let fault = Fault {
                pointer: String::new(),
                detail: error.to_string(),
            };
            Problem::invalid("the body is JSON, but not what this path takes", vec![fault])
        } else {
            Problem::bad_request(format!("the body is not JSON: {error}"))
        }
    })
}

/// A query's parameters.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, state).await;
        query
            .map(|Query(value)| Self(value))
            .map_err(|rejection| Problem::bad_request(rejection.body_text()))
    }
}

/// A path's parameters.
pub(crate) struct Segments<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value))
            .map_err(|rejection| Problem::of_status(rejection.status(), &rejection.body_text()))
    }
}

/// A duration in a query: `30s`, `500ms`, `2m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        span(&text)
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("{text:?} is not a duration such as 30s or 500ms")))
    }
}

/// `30s`, `500ms`, `5m`.
pub(crate) fn span(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(span("30s"), Some(Duration::from_secs(30)));
        assert_eq!(span("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(span("2m"), Some(Duration::from_secs(120)));
        for bad in ["", "30", "s", "-1s", "1.5s", "1h", "99999999999999999999s"] {
            assert_eq!(span(bad), None, "{bad}");
        }
    }
}
