//! What `up` prints once everything answers.

use super::child::Pids;
use super::fleet::Ready;
use crate::cli::client::{CallError, Client};
use crate::cli::output;
use crate::data::DataFolder;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// What `up` prints once everything answers.
pub(super) struct Report {
    line: Value,
}

impl Report {
    /// Puts together what scripts and people want to know.
    ///
    /// # Errors
    /// The control plane does not answer.
    pub(super) async fn gather(
        client: &Client,
        data: &DataFolder,
        admin: SocketAddr,
        supervised: &[(&str, &str, Pids)],
        ready: Ready,
    ) -> Result<Self, CallError> {
        let targets: Vec<Value> = client.get("/v1/prometheus/targets").await?;
        let http = |role: &str, name: &str| {
            let of = |target: &&Value| target["labels"]["role"] == role && target["labels"]["server"] == name;
            targets
                .iter()
                .find(of)
                .and_then(|target| target["targets"][0].as_str())
                .map(|address| format!("http://{address}"))
        };
        let process = |role: &str, name: &str, pid: Value| json!({"role": role, "name": name, "pid": pid, "http": http(role, name)});
        let name = |instance: &Value| instance["name"].as_str().unwrap_or_default().to_owned();
        let processes: Vec<_> = supervised
            .iter()
            .map(|(role, name, pids)| process(role, name, json!(pids.now())))
            .chain(
                ready
                    .balancers
                    .iter()
                    .map(|balancer| process("balancer", &name(balancer), balancer["pid"].clone())),
            )
            .chain(
                ready
                    .servers
                    .iter()
                    .map(|server| process("server", &name(server), server["pid"].clone())),
            )
            .collect();
        let servers = ready
            .servers
            .iter()
            .map(|server| json!({"name": server["name"], "address": server["address"], "pid": server["pid"]}));
        let line = json!({
            "ready": true,
            "admin": format!("http://{admin}"),
            "balancer": ready.balancers.first().map(|balancer| balancer["address"].clone()),
            "token_file": data.admin_token(),
            "servers": servers.collect::<Vec<_>>(),
            "processes": processes,
        });
        Ok(Self { line })
    }

    /// How many chat servers there are.
    pub(super) fn servers(&self) -> usize {
        self.line["servers"].as_array().map_or(0, Vec::len)
    }

    /// Prints it on stdout.
    pub(super) fn print(&self, as_json: bool) {
        if as_json {
            output::json(&self.line);
        } else {
            output::line(&self.text());
        }
    }

    fn text(&self) -> String {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (admin, balancer, token) = (
            text(&self.line["admin"]),
            text(&self.line["balancer"]),
            text(&self.line["token_file"]),
        );
        let servers = self.line["servers"].as_array().into_iter().flatten();
        let servers: Vec<_> = servers
            .map(|server| format!("{} at {}", text(&server["name"]), text(&server["address"])))
            .collect();
        let me = std::env::args().next().unwrap_or_else(|| "fastchat-admin".to_owned());
        let options = format!("--url {admin} --token-file {token}");
        // From the repository's folder, where `make run` is; elsewhere it is not there to try.
        let example = "protocol/examples/raw_client.py";
        let chat = match std::path::Path::new(example).exists() {
            true => format!("  python3 {example} demo --balancer {balancer}\n"),
            false => String::new(),
        };
        format!(
            "FastChat is up.

  clients dial   {balancer}   (balancer; it sends them to {})
  operators use  {admin}   (bearer token in {token})

Try next:

{chat}  {me} servers list {options}
  curl -H \"Authorization: Bearer $(cat {token})\" {admin}/v1/servers
  curl -X PUT -H \"Authorization: Bearer $(cat {token})\" -H 'If-Match: *' --json '{{\"strategy\":\"round-robin\"}}' {admin}/v1/balancing

Ctrl-C ends all of it; the same command continues it.",
            servers.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_where_to_dial_and_what_to_try() {
        let line = json!({
            "admin": "http://127.0.0.1:7100", "balancer": "127.0.0.1:7101", "token_file": "/data/admin.token",
            "servers": [{"name": "s1", "address": "127.0.0.1:7110"}],
        });
        let text = Report { line }.text();
        for part in [
            "127.0.0.1:7101",
            "s1 at 127.0.0.1:7110",
            "$(cat /data/admin.token)",
            r#"'{"strategy":"round-robin"}'"#,
            "Ctrl-C",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
}
