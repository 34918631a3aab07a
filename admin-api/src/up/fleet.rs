//! Asks the control plane for what is missing, and waits until all of it answers.

use crate::cli::client::{CallError, Client};
use crate::cli::operations;
use serde_json::{Value, json};
use std::time::Duration;

/// How often the fleet is looked at while it starts.
const LOOK: Duration = Duration::from_millis(100);

/// What `up` was asked for.
pub(super) struct Wanted<'a> {
    /// Chat servers at least.
    pub(super) servers: usize,
    /// The strategy; `None` leaves the one in force.
    pub(super) strategy: Option<&'a str>,
}

/// The fleet once it answers.
pub(super) struct Ready {
    /// Chat servers, as REST shows them.
    pub(super) servers: Vec<Value>,
    /// Balancers, as REST shows them.
    pub(super) balancers: Vec<Value>,
}

/// Brings up what is wanted.
///
/// # Errors
/// The control plane refuses, or a process can't start.
pub(super) async fn bring_up(client: &Client, wanted: &Wanted<'_>) -> Result<Ready, CallError> {
    if let Some(strategy) = wanted.strategy {
        let current: Value = client.get("/v1/balancing").await?;
        if current["strategy"] != strategy {
            client.put::<Value>("/v1/balancing", &json!({"strategy": strategy}), "*").await?;
        }
    }
    let mut operations = Vec::new();
    for (path, count) in [("/v1/balancers", 1), ("/v1/servers", wanted.servers)] {
        let there = client.list(path).await?.iter().filter(|process| stays(process)).count();
        for _ in there..count {
            operations.push(client.post::<Value>(path, &json!({})).await?);
        }
    }
    for operation in operations {
        let ended = operations::follow(client, operation["id"].as_str().unwrap_or_default()).await?;
        if ended["state"] == "failed" {
            return Err(CallError::Failed(
                ended["error"]["detail"].as_str().unwrap_or("a process can't start").to_owned(),
            ));
        }
    }
    loop {
        let (balancers, servers) = (staying(client, "/v1/balancers").await?, staying(client, "/v1/servers").await?);
        if balancers.iter().chain(&servers).all(|process| process["state"] == "ready") && attached(&balancers, &servers) {
            return Ok(Ready { servers, balancers });
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn staying(client: &Client, path: &str) -> Result<Vec<Value>, CallError> {
    Ok(client.list(path).await?.into_iter().filter(stays).collect())
}

/// Whether it is not on its way out.
fn stays(process: &Value) -> bool {
    !matches!(process["state"].as_str(), Some("draining" | "stopping" | "stopped"))
}

/// Whether every balancer knows every server, so that the first client is not refused.
fn attached(balancers: &[Value], servers: &[Value]) -> bool {
    let knows = |balancer: &Value, server: &Value| {
        balancer["servers"]
            .as_array()
            .is_some_and(|attached| attached.iter().any(|one| one["name"] == server["name"]))
    };
    balancers
        .iter()
        .all(|balancer| servers.iter().all(|server| knows(balancer, server)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fleet_answers_once_every_balancer_knows_every_server() {
        let servers = [json!({"name": "s1"}), json!({"name": "s2"})];
        let balancer = |names: &[&str]| json!({"servers": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
        assert!(attached(&[balancer(&["s2", "s1"])], &servers));
        assert!(!attached(&[balancer(&["s1"])], &servers));
        assert!(!attached(&[balancer(&["s1", "s2"]), json!({})], &servers));
    }
}
