//! The control link's requests: one for the spec, one for the status.

use crate::config::Process;
use anyhow::{Context, bail};
use fastchat_tls::{Connector, Protocol, Roots};
use fastchat_wire::control::{SPEC_WAIT_MS, Spec, Status, spec_path, status_path};
use reqwest::{Client, RequestBuilder, StatusCode};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};
use zeroize::Zeroizing;

/// A connection takes no longer than this.
const CONNECT: Duration = Duration::from_secs(2);
/// The control plane answers a spec request within [`SPEC_WAIT_MS`]; so much more for the way.
const SPEC_GRACE_MS: u64 = 10_000;
/// A status is answered within this time.
const STATUS_WAIT: Duration = Duration::from_secs(3);
/// Largest spec document.
const SPEC_BYTES_MAX: usize = 16 << 20;

/// How one process talks to the control plane.
#[derive(Debug, Clone)]
pub(super) struct ControlLink {
    client: Client,
    spec_url: String,
    status_url: String,
    token_file: PathBuf,
}

impl ControlLink {
    /// A process's link to the control plane at `url` (`http://host:port`, `https://host:port`).
    ///
    /// # Errors
    /// The HTTP client can't be built: the CA can't be read.
    pub(super) fn new(url: &str, token_file: PathBuf, process: &Process) -> anyhow::Result<Self> {
        let protection = &process.protection;
        let roots = if url.starts_with("https://") {
            protection.roots()
        } else {
            Roots::Nobody
        };
        let mut client = Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT)
            .tls_backend_preconfigured(Connector::new(&roots, Protocol::Http)?.config());
        let mut url = url.to_owned();
        if let Some((named, name, address)) = protection.tls.as_ref().and_then(|tls| by_name(&url, &tls.name)) {
            client = client.resolve(&name, address);
            url = named;
        }
        Ok(Self {
            client: client.build()?,
            spec_url: format!("{url}{}", spec_path(process.role, &process.name)),
            status_url: format!("{url}{}", status_path(process.role, &process.name)),
            token_file,
        })
    }

    /// The spec after `generation`; `None` where there is nothing newer.
    ///
    /// # Errors
    /// The control plane doesn't answer, or refuses.
    pub(super) async fn spec(&self, generation: u64) -> anyhow::Result<Option<Spec>> {
        let request = self.client.get(format!("{}?after={generation}", self.spec_url));
        let mut response = self
            .authorized(request)?
            .timeout(Duration::from_millis(SPEC_WAIT_MS + SPEC_GRACE_MS))
            .send()
            .await?;
        match response.status() {
            StatusCode::NO_CONTENT => Ok(None),
            StatusCode::OK => {
                let mut document = Zeroizing::new(Vec::new());
                while let Some(chunk) = response.chunk().await? {
                    if document.len() + chunk.len() > SPEC_BYTES_MAX {
                        bail!(
                            "the spec is larger than {SPEC_BYTES_MAX} bytes; is {} the control plane?",
                            self.spec_url
                        );
                    }
                    document.extend_from_slice(&chunk);
                }
                let spec =
                    serde_json::from_slice(&document).context("the control plane's spec can't be understood; do the versions fit?")?;
                Ok(Some(spec))
            }
            status => bail!(self.refused(status)),
        }
    }

    /// Posts a status.
    ///
    /// # Errors
    /// The control plane doesn't answer, or refuses.
    pub(super) async fn post(&self, status: &Status) -> anyhow::Result<()> {
        let request = self.client.post(&self.status_url).json(status);
        let response = self.authorized(request)?.timeout(STATUS_WAIT).send().await?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => bail!(self.refused(status)),
        }
    }

    /// The token is read for each request: replacing the file replaces the token.
    fn authorized(&self, request: RequestBuilder) -> anyhow::Result<RequestBuilder> {
        let file = self.token_file.display();
        let token = std::fs::read_to_string(&self.token_file).map(Zeroizing::new);
        let token = token.with_context(|| format!("can't read the token file {file}; check --token-file"))?;
        Ok(request.bearer_auth(token.trim()))
    }

    fn refused(&self, status: StatusCode) -> String {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => format!(
                "the control plane refuses the token in {} ({status}); give this process its own",
                self.token_file.display()
            ),
            StatusCode::NOT_FOUND => format!("the control plane doesn't know this process ({status}); check --name and --control"),
            status => format!("the control plane answers {status}"),
        }
    }
}

/// Of a TLS URL with an IP address: the URL by the fleet's name, that name, and the address to dial.
/// A certificate has the fleet's name, whichever address the control plane is dialled at.
fn by_name(url: &str, name: &str) -> Option<(String, String, SocketAddr)> {
    let address: SocketAddr = url.strip_prefix("https://")?.parse().ok()?;
    let is_address = name.parse::<IpAddr>().is_ok();
    (!is_address).then(|| (format!("https://{name}:{}", address.port()), name.to_owned(), address))
}
