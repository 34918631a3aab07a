//! `/v1/prometheus/targets`: what Prometheus should scrape (its `http_sd` format).

use crate::app::App;
use crate::desired::{Fleet, Goal};
use crate::specs::endpoint;
use axum::{Json, Router, extract::State, routing::get};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/v1/prometheus/targets", get(list))
}

/// What to scrape and how to label it.
#[derive(Debug, Serialize)]
struct Target {
    targets: [String; 1],
    labels: BTreeMap<&'static str, String>,
}

async fn list(State(app): State<Arc<App>>) -> Json<Vec<Target>> {
    Json(targets(&app.fleet()))
}

/// Everything that should run: a crashed process stays in the list, one that was removed leaves it.
fn targets(fleet: &Fleet) -> Vec<Target> {
    let target = |address: String, role: &str, name: &str, host: &str| Target {
        targets: [address],
        labels: [("role", role), ("server", name), ("host", host), ("cluster", &fleet.cluster.name)]
            .map(|(label, value)| (label, value.to_owned()))
            .into(),
    };
    let url = &fleet.cluster.settings.control;
    let (scheme, address) = url.split_once("://").unwrap_or(("http", url));
    let mut control = target(address.to_owned(), "control", "control", host_of(address));
    if scheme != "http" {
        // What Prometheus scrapes it by; it is no label of a series.
        control.labels.insert("__scheme__", scheme.to_owned());
    }
    let agents = fleet
        .hosts
        .iter()
        .map(|host| target(endpoint(&host.internal_address, host.probe_port), "agent", &host.name, &host.name));
    let instances = fleet
        .instances
        .iter()
        .filter(|instance| matches!(instance.goal, Goal::Run | Goal::Drain { .. }))
        .map(|instance| {
            target(
                instance.probe_listen.clone(),
                &instance.role.to_string(),
                &instance.name,
                &instance.host,
            )
        });
    std::iter::once(control).chain(agents).chain(instances).collect()
}

fn host_of(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fleet;

    #[test]
    fn every_process_that_should_run_is_a_target_with_its_labels() {
        let mut fleet = fleet(2);
        fleet.instances[1].goal = Goal::Stop;
        let json = serde_json::to_value(targets(&fleet)).unwrap();
        let labels =
            |role: &str, server: &str, host: &str| serde_json::json!({"role": role, "server": server, "host": host, "cluster": "fastchat"});
        assert_eq!(
            json,
            serde_json::json!([
                {"targets": ["127.0.0.1:7100"], "labels": labels("control", "control", "127.0.0.1")},
                {"targets": ["127.0.0.1:7104"], "labels": labels("agent", "h1", "h1")},
                {"targets": ["127.0.0.1:7112"], "labels": labels("server", "s1", "h1")},
                {"targets": ["127.0.0.1:7103"], "labels": labels("balancer", "b1", "h1")},
            ])
        );
    }
}
