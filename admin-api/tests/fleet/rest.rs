//! The control plane's REST, as an operator calls it.

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

/// A client with a bearer token.
#[derive(Debug, Clone)]
pub(crate) struct Rest {
    base: String,
    token: String,
    http: reqwest::Client,
}

impl Rest {
    pub(crate) fn new(base: &str, token: &str) -> Self {
        Self {
            base: base.to_owned(),
            token: token.to_owned(),
            http: http(),
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    /// GET; the answer must be 200.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.request(Method::GET, path).send().await.expect("the control plane answers");
        let status = response.status();
        let text = response.text().await.expect("a body");
        assert_eq!(status, StatusCode::OK, "GET {path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// The servers, or nothing where the control plane does not answer.
    pub(crate) async fn servers(&self) -> Option<Vec<Value>> {
        let response = self.request(Method::GET, "/v1/servers").send().await.ok()?;
        let list: Value = response.json().await.ok()?;
        Some(list["items"].as_array()?.clone())
    }

    /// One server.
    pub(crate) async fn server(&self, name: &str) -> Option<Value> {
        self.servers().await?.into_iter().find(|server| server["name"] == name)
    }

    pub(crate) async fn put(&self, path: &str, if_match: &str, body: &Value) -> Response {
        self.request(Method::PUT, path)
            .header("If-Match", if_match)
            .json(body)
            .send()
            .await
            .expect("the control plane answers")
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path)
            .json(body)
            .send()
            .await
            .expect("the control plane answers")
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path).send().await.expect("the control plane answers")
    }
}

/// What tests ask by.
pub(crate) fn http() -> reqwest::Client {
    fastchat_tls::install_provider();
    reqwest::Client::new()
}

/// The page of a process's probes.
pub(crate) async fn probe(address: &str, path: &str) -> (StatusCode, String) {
    let base = if address.starts_with("http") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    let response = http().get(format!("{base}{path}")).send().await.expect("the probe answers");
    (response.status(), response.text().await.expect("a body"))
}
