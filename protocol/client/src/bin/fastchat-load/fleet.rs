//! Asks the control plane which processes the fleet has.

use crate::{
    args::Common,
    processes::{Process, Role},
    trouble::Trouble,
    way::Way,
};
use fastchat_client::Address;
use fastchat_tls::Protocol;
use fastchat_wire::Secret;
use serde::Deserialize;
use std::{fs, path::Path, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

/// The control plane answers within this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// A control plane, with the right to read.
#[derive(Debug)]
pub(crate) struct Fleet {
    address: Address,
    token: Secret,
    way: Way,
}

#[derive(Deserialize)]
struct Items {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    pid: Option<u32>,
}

impl Fleet {
    /// The control plane at an `http://` or `https://` URL.
    ///
    /// # Errors
    /// The URL or the file with the token can't be read.
    pub(crate) fn new(url: &str, token_file: &Path, common: &Common) -> Result<Self, Trouble> {
        let plain = url.strip_prefix("http://");
        let host = plain
            .or_else(|| url.strip_prefix("https://"))
            .map(|rest| rest.trim_end_matches('/'));
        let address: Address = host.and_then(|host| host.parse().ok()).ok_or_else(|| {
            Trouble::Usage(format!(
                "\"{url}\" is no URL of a control plane: write http://HOST:PORT or https://HOST:PORT"
            ))
        })?;
        let way = match plain {
            Some(_) => Way::Plain {
                beyond: common.allow_plaintext,
            },
            None => Way::tls(&address, common, Protocol::Http)?,
        };
        let token = fs::read_to_string(token_file).map_err(|error| Trouble::file(token_file, &error))?;
        Ok(Self {
            address,
            token: Secret::new(token.trim().to_owned()),
            way,
        })
    }

    /// Its servers and balancers.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub(crate) async fn processes(&self) -> Result<Vec<Process>, Trouble> {
        let mut processes = self.list("/v1/servers", Role::Servers).await?;
        processes.extend(self.list("/v1/balancers", Role::Balancer).await?);
        Ok(processes)
    }

    /// Its servers.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub(crate) async fn servers(&self) -> Result<Vec<Process>, Trouble> {
        self.list("/v1/servers", Role::Servers).await
    }

    async fn list(&self, path: &str, role: Role) -> Result<Vec<Process>, Trouble> {
        let body = self.get(path).await?;
        let items: Items = serde_json::from_str(&body).map_err(|error| Trouble::Failed(format!("{}{path}: {error}", self.address)))?;
        let pids = items.items.into_iter().filter_map(|item| item.pid);
        Ok(pids.map(|pid| Process { role, pid }).collect())
    }

    /// One GET of HTTP/1.0: the answer ends with the connection.
    async fn get(&self, path: &str) -> Result<String, Trouble> {
        let ip = self.way.resolve(&self.address).await?;
        let request = format!(
            "GET {path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {}\r\nAccept: application/json\r\n\r\n",
            self.address,
            self.token.expose()
        );
        let exchange = async {
            let mut socket = self.way.dial(ip).await?;
            let broke = |error| Trouble::CannotConnect(format!("{}: {error}", self.address));
            socket.write_all(request.as_bytes()).await.map_err(broke)?;
            socket.flush().await.map_err(broke)?;
            let mut answer = String::new();
            socket.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await.map_err(broke)?;
            Ok::<_, Trouble>(answer)
        };
        let answer = match timeout(PATIENCE, exchange).await {
            Ok(answer) => answer?,
            Err(_) => return Err(Trouble::CannotConnect(format!("{} does not answer", self.address))),
        };
        body(&answer).map_err(|status| Trouble::Failed(format!("{}{path}: {status}; check --token-file", self.address)))
    }
}

/// The body of a good answer, else its status line.
fn body(answer: &str) -> Result<String, String> {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.lines().next().unwrap_or_default();
    match status.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        _ => Err(status.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser;

    #[test]
    fn only_a_good_answer_has_a_body() {
        assert_eq!(body("HTTP/1.0 200 OK\r\na: b\r\n\r\n{}"), Ok("{}".to_owned()));
        assert_eq!(
            body("HTTP/1.0 401 Unauthorized\r\n\r\n{}"),
            Err("HTTP/1.0 401 Unauthorized".to_owned())
        );
        assert_eq!(body(""), Err(String::new()));
    }

    #[test]
    fn a_control_plane_is_named_by_its_url() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let common = Cli::try_parse_from(["fastchat-load", "pairs"]).unwrap().common;
        for good in ["http://127.0.0.1:7100/", "https://fleet.example.org:7100"] {
            assert!(Fleet::new(good, file.path(), &common).is_ok(), "{good}");
        }
        for bad in ["127.0.0.1:7100", "ftp://127.0.0.1:7100", "http://127.0.0.1"] {
            assert!(Fleet::new(bad, file.path(), &common).is_err(), "{bad}");
        }
    }
}
