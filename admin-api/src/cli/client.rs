//! Calls of REST, for the verbs and for `up`.

use crate::problem::{self, Problem};
use fastchat_tls::{Connector, Protocol, Roots, is_loopback_host};
use fastchat_wire::Secret;
use reqwest::{
    Method, StatusCode,
    header::{self, HeaderValue},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// Longest wait for an answer; above every long poll.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(95);
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Exit code 3.
    #[error("can't connect to {url}: {reason}; is the control plane running there? Give --url otherwise")]
    CantConnect {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// Exit code 1.
    #[error("{}", describe(.0))]
    Refused(Box<Problem>),
    /// Exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl CallError {
    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::CantConnect { .. } => 3,
        }
    }
}

fn describe(problem: &Problem) -> String {
    let mut text = format!("{} ({}): {}", problem.title, problem.status, problem.detail);
    for fault in problem.errors.iter().filter(|fault| fault.detail != problem.detail) {
        text.push_str(&format!(
            "\n  {}: {}",
            if fault.pointer.is_empty() { "body" } else { &fault.pointer },
            fault.detail
        ));
    }
    if let Some(id) = problem.request_id.as_ref().filter(|_| problem.status >= 500) {
        text.push_str(&format!("\n  request {id}"));
    }
    text
}

/// Who is trusted to be the control plane.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    /// The file of the only CA; otherwise those that this machine trusts.
    pub(crate) ca: Option<PathBuf>,
    /// The name that its certificate has, where the URL has only its address.
    pub(crate) name: Option<String>,
    /// Send the token in the clear beyond this machine.
    pub(crate) allow_plaintext: bool,
}

/// Of a TLS URL with an IP address: the URL by that name, the name, and the address to dial.
fn by_name(url: &str, name: &str) -> Option<(String, String, SocketAddr)> {
    let address: SocketAddr = url.strip_prefix("https://")?.parse().ok()?;
    let is_address = name.parse::<IpAddr>().is_ok();
    (!is_address).then(|| (format!("https://{name}:{}", address.port()), name.to_owned(), address))
}

/// The control plane, seen from outside.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: Secret,
    reason: Option<HeaderValue>,
}

impl Client {
    /// Of a URL such as `http://127.0.0.1:7100`.
    ///
    /// # Errors
    /// The CA can't be read, or the token would travel in the clear.
    pub(crate) fn new(url: &str, token: Secret, trust: &Trust) -> Result<Self, CallError> {
        let usage = |error: fastchat_tls::TlsError| CallError::Usage(error.to_string());
        let roots = match (url.strip_prefix("http://"), &trust.ca) {
            (Some(rest), _) => {
                let host = rest.split('/').next().unwrap_or_default();
                let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
                if !trust.allow_plaintext && !is_loopback_host(host) {
                    return Err(CallError::Usage(format!(
                        "{url} is not on this machine, and the token would travel in the clear: give an https:// URL, or --allow-plaintext on a network that you trust"
                    )));
                }
                Roots::Nobody
            }
            (None, None) => Roots::System,
            (None, Some(ca)) => Roots::File(ca.clone()),
        };
        let mut http = reqwest::Client::builder()
            .timeout(ANSWER_TIME_MAX)
            .connect_timeout(CONNECT_TIME_MAX)
            .tls_backend_preconfigured(Connector::new(&roots, Protocol::Http).map_err(usage)?.config())
            .no_proxy();
        let mut url = url.to_owned();
        if let Some((named, name, address)) = trust.name.as_deref().and_then(|name| by_name(&url, name)) {
            http = http.resolve(&name, address);
            url = named;
        }
        let http = http.build();
        let http = http.map_err(|error| CallError::Failed(error.to_string()))?;
        Ok(Self {
            http,
            url: url.trim_end_matches('/').to_owned(),
            token,
            reason: None,
        })
    }

    /// Says why with every request, for the audit log.
    ///
    /// # Errors
    /// The reason can't be sent.
    pub(crate) fn because(self, reason: Option<&str>) -> Result<Self, CallError> {
        let unfit = |_| CallError::Usage("--reason is one line of ASCII text".to_owned());
        let reason = reason.map(|text| HeaderValue::from_str(text).map_err(unfit)).transpose()?;
        Ok(Self { reason, ..self })
    }

    /// GET.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.call(Method::GET, path, None, None).await
    }

    /// POST of JSON.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, CallError> {
        self.call(Method::POST, path, Some(body), None).await
    }

    /// PUT of JSON, on a condition.
    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &str, body: &Value, if_match: &str) -> Result<T, CallError> {
        self.call(Method::PUT, path, Some(body), Some(if_match)).await
    }

    /// DELETE.
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.call(Method::DELETE, path, None, None).await
    }

    /// All pages of a list.
    pub(crate) async fn list(&self, path: &str) -> Result<Vec<Value>, CallError> {
        #[derive(serde::Deserialize)]
        struct Page {
            items: Vec<Value>,
            next_page_token: Option<String>,
        }
        let mut items = Vec::new();
        let mut token = None;
        loop {
            let query = token.map_or_else(String::new, |token: String| format!("?page_token={token}"));
            let page: Page = self.get(&format!("{path}{query}")).await?;
            items.extend(page.items);
            token = page.next_page_token;
            if token.is_none() {
                return Ok(items);
            }
        }
    }

    /// GET of text, part by part, until `take` says that it has enough.
    pub(crate) async fn text(&self, path: &str, mut take: impl FnMut(&[u8]) -> bool) -> Result<(), CallError> {
        let mut answer = self.send(Method::GET, path, None, None).await?;
        while let Some(part) = answer.chunk().await.map_err(|error| self.cant_connect(&error))? {
            if !take(&part) {
                break;
            }
        }
        Ok(())
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        if_match: Option<&str>,
    ) -> Result<T, CallError> {
        let answer = self.send(method, path, body, if_match).await?;
        let bytes = answer.bytes().await.map_err(|error| self.cant_connect(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| CallError::Failed(format!("{path} answered something else than expected: {error}")))
    }

    /// The answer, where it is a success.
    async fn send(&self, method: Method, path: &str, body: Option<&Value>, if_match: Option<&str>) -> Result<reqwest::Response, CallError> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(self.token.expose());
        if let Some(reason) = &self.reason {
            request = request.header("x-change-reason", reason);
        }
        if let Some(condition) = if_match {
            request = request.header(header::IF_MATCH, condition);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| self.cant_connect(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let bytes = answer.bytes().await.map_err(|error| self.cant_connect(&error))?;
        Err(refusal(status, &bytes))
    }

    fn cant_connect(&self, error: &reqwest::Error) -> CallError {
        let cause = std::iter::successors(std::error::Error::source(error), |error| error.source()).last();
        let reason = cause.map_or_else(|| error.to_string(), ToString::to_string);
        CallError::CantConnect {
            url: self.url.clone(),
            reason,
        }
    }
}

fn refusal(status: StatusCode, bytes: &[u8]) -> CallError {
    match serde_json::from_slice::<Problem>(bytes) {
        Ok(problem) => CallError::Refused(Box::new(problem)),
        Err(_) => CallError::Failed(format!(
            "the answer was {status} without {}; is this a control plane?",
            problem::MEDIA_TYPE
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_all_its_faults() {
        let problem = Problem::invalid_at("/strategy", "there is no strategy \"best\"");
        assert_eq!(
            describe(&problem),
            "The request is not possible (422): there is no strategy \"best\""
        );
        let bytes = serde_json::to_vec(&problem).unwrap();
        assert_eq!(refusal(StatusCode::UNPROCESSABLE_ENTITY, &bytes).exit_code(), 1);
        assert!(refusal(StatusCode::BAD_GATEWAY, b"<html>").to_string().contains("502"));
    }

    #[test]
    fn a_token_does_not_leave_this_machine_in_the_clear_unless_that_is_allowed() {
        let client = |url, allow_plaintext| {
            let trust = Trust {
                allow_plaintext,
                ..Trust::default()
            };
            Client::new(url, Secret::new("x".into()), &trust)
        };
        for url in ["http://127.0.0.1:7100", "http://localhost:7100/", "http://[::1]:7100"] {
            assert!(client(url, false).is_ok(), "{url}");
        }
        let refused = client("http://192.0.2.7:7100", false).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains("--allow-plaintext"), "{refused}");
        assert!(client("http://192.0.2.7:7100", true).is_ok());
    }

    #[tokio::test]
    async fn nobody_there_is_exit_code_3() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = Client::new(&format!("http://{free}"), Secret::new("x".into()), &Trust::default()).unwrap();
        let error = client.get::<Value>("/v1/servers").await.unwrap_err();
        assert_eq!(error.exit_code(), 3);
    }
}
