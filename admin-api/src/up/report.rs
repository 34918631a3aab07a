//! What `up` prints once everything answers.

use super::child::Pids;
use super::fleet::Ready;
use super::prepared::Prepared;
use crate::cli::client::{CallError, Client};
use crate::cli::output;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;

/// Where clients look for a balancer that are told of none.
const BALANCER_OF_CLIENTS: &str = "127.0.0.1:7101";

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
        prepared: &Prepared,
        admin: SocketAddr,
        supervised: &[(&str, &str, Pids)],
        ready: Ready,
    ) -> Result<Self, CallError> {
        let protection = &prepared.protection;
        let targets: Vec<Value> = client.get("/v1/prometheus/targets").await?;
        let http = |role: &str, name: &str| {
            let of = |target: &&Value| target["labels"]["role"] == role && target["labels"]["server"] == name;
            targets
                .iter()
                .find(of)
                .and_then(|target| target["targets"][0].as_str())
                .map(|address| {
                    let scheme = if role == "control" { protection.scheme() } else { "http" };
                    format!("{scheme}://{address}")
                })
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
            "admin": format!("{}://{admin}", protection.scheme()),
            "balancer": ready.balancers.first().map(|balancer| balancer["address"].clone()),
            "token_file": prepared.data.admin_token(),
            "tls": protection.name().map(|name| json!({"name": name, "ca": protection.ca()})),
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
            output::line(&self.text(client_beside_this().as_deref()));
        }
    }

    /// For people. `client` is how they call the program `fastchat`, where there is one.
    fn text(&self, client: Option<&str>) -> String {
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
        let (name, ca) = (&self.line["tls"]["name"], &self.line["tls"]["ca"]);
        let trust = ca.as_str().map_or_else(String::new, |ca| format!(" --ca {ca}"));
        let cacert = ca.as_str().map_or_else(String::new, |ca| format!("--cacert {ca} "));
        let options = format!("--url {admin} --token-file {token}{trust}");
        // Where clients look by themselves there is no need to say it.
        let mut at = match (balancer.as_str(), name.as_str(), ca.as_str()) {
            // Somebody else's certificate has the fleet's name only.
            (balancer, Some(name), None) => format!(" --balancer {name}:{} --tls", balancer.rsplit(':').next().unwrap_or_default()),
            (BALANCER_OF_CLIENTS, ..) => String::new(),
            (other, ..) => format!(" --balancer {other}"),
        };
        at.push_str(&trust);
        let chat = client.map_or_else(String::new, |client| {
            format!(
                "  {client} --profile alice register alice{at}
  {client} --profile bob register bob{at}
  {client} --profile bob listen    # in another terminal
  {client} --profile alice send @bob \"hello\"

"
            )
        });
        format!(
            "FastChat is up.

  clients dial   {balancer}   (balancer; it sends them to {})
  operators use  {admin}   (bearer token in {token})

Try next:

{chat}  {me} servers list {options}
  curl {cacert}-H \"Authorization: Bearer $(cat {token})\" {admin}/v1/servers
  curl {cacert}-X PUT -H \"Authorization: Bearer $(cat {token})\" -H 'If-Match: *' --json '{{\"strategy\":\"round-robin\"}}' {admin}/v1/balancing

Ctrl-C ends all of it; the same command continues it.",
            servers.join(", ")
        )
    }
}

/// The program `fastchat`, called as this one was, where it stands beside it.
fn client_beside_this() -> Option<String> {
    let here = std::env::current_exe().ok()?;
    let called = std::env::args().next()?;
    let client = Path::new(&called).with_file_name("fastchat").display().to_string();
    here.with_file_name("fastchat").exists().then_some(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_where_to_dial_and_what_to_try() {
        let text = report("127.0.0.1:7101").text(Some("target/release/fastchat"));
        for part in [
            "127.0.0.1:7101",
            "s1 at 127.0.0.1:7110",
            "target/release/fastchat --profile alice register alice\n",
            "target/release/fastchat --profile alice send @bob \"hello\"",
            "$(cat /data/admin.token)",
            r#"'{"strategy":"round-robin"}'"#,
            "Ctrl-C",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[test]
    fn a_balancer_that_clients_would_not_find_is_named_to_them() {
        let text = report("127.0.0.1:8201").text(Some("fastchat"));
        assert!(
            text.contains("fastchat --profile bob register bob --balancer 127.0.0.1:8201\n"),
            "{text}"
        );
    }

    #[test]
    fn who_has_to_trust_a_ca_is_told_which() {
        let Report { mut line } = report("127.0.0.1:7101");
        line["tls"] = json!({"name": "localhost", "ca": "/data/tls/ca.pem"});
        let text = Report { line: line.clone() }.text(Some("fastchat"));
        for part in [
            "fastchat --profile bob register bob --ca /data/tls/ca.pem\n",
            "curl --cacert /data/tls/ca.pem -H",
            "--token-file /data/admin.token --ca /data/tls/ca.pem\n",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        line["tls"] = json!({"name": "chat.example.org", "ca": null});
        let text = Report { line }.text(Some("fastchat"));
        assert!(text.contains("register bob --balancer chat.example.org:7101 --tls\n"), "{text}");
    }

    #[test]
    fn a_client_that_is_not_there_is_not_told_of() {
        assert!(!report("127.0.0.1:7101").text(None).contains("register"));
    }

    fn report(balancer: &str) -> Report {
        let line = json!({
            "admin": "http://127.0.0.1:7100", "balancer": balancer, "token_file": "/data/admin.token",
            "servers": [{"name": "s1", "address": "127.0.0.1:7110"}],
        });
        Report { line }
    }
}
