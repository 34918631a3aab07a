//! Probes, metrics and dashboards on a real Prometheus that scrapes a real fleet.

use super::{
    client::Client,
    harness::{Fleet, signal, until},
    rest::{http, probe},
};
use fastchat_wire::chat::{assign::Assign, create::ConversationKind};
use reqwest::StatusCode;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Where there is no TLS, it has nothing to show.
const TLS_DASHBOARD: &str = "fastchat-tls.json";

/// A Prometheus; dropping it ends it.
struct Prometheus {
    child: Child,
    url: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn grafana() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../grafana")
}

impl Prometheus {
    /// Our own `prometheus.yml`, with this fleet's control plane and token, and a scrape each second.
    fn start(fleet: &Fleet, folder: &Path) -> Self {
        let token = fleet.line.token_file.display().to_string();
        let config = std::fs::read_to_string(grafana().join("prometheus.yml")).expect("prometheus.yml");
        // As the file says for a fleet with TLS.
        let trust = |indent: &str| {
            fleet.line.tls.as_ref().map_or(String::new(), |tls| {
                format!("{indent}tls_config: {{ca_file: {}, server_name: {}}}\n", tls.ca.display(), tls.name)
            })
        };
        let mine = config
            .replace("job_name: fastchat\n", &format!("job_name: fastchat\n{}", trust("    ")))
            .replace(
                "        authorization:\n",
                &format!("{}        authorization:\n", trust("        ")),
            )
            .replace("http://127.0.0.1:7100", &fleet.line.admin)
            .replace("../fastchat-data/admin.token", &token)
            .replace("_interval: 5s", "_interval: 1s")
            .replace("refresh_interval: 15s", "refresh_interval: 1s");
        assert!(
            mine.contains(&fleet.line.admin) && mine.contains(&token),
            "prometheus.yml names the control plane and the token"
        );
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, mine).unwrap();
        let listen = format!("127.0.0.1:{}", fleet.ports.0 + 50);
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
            .arg(format!("--web.listen-address={listen}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus runs: apt-get install prometheus");
        Self {
            child,
            url: format!("http://{listen}"),
        }
    }

    /// Waits until it has all processes.
    async fn scrapes(&self, fleet: &Fleet) {
        until("prometheus scrapes all processes", 20, async || {
            let answer: serde_json::Value = http()
                .get(format!("{}/api/v1/query?query=sum(up)", self.url))
                .send()
                .await
                .ok()?
                .json()
                .await
                .ok()?;
            let up = answer["data"]["result"][0]["value"][1].as_str()?.parse::<f64>().ok()?;
            (up >= fleet.line.processes.len() as f64).then_some(())
        })
        .await;
    }

    /// Every expression of these dashboards has something to show.
    #[track_caller]
    fn shows(&self, which: impl Fn(&str) -> bool) {
        let dashboards: Vec<PathBuf> = std::fs::read_dir(grafana().join("dashboards"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&which))
            .collect();
        assert!(!dashboards.is_empty());
        let output = Command::new("python3")
            .arg(grafana().join("check/dashcheck.py"))
            .args(["--prometheus", &self.url, "--span", "60"])
            .args(&dashboards)
            .output()
            .expect("python3 runs: apt-get install python3");
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_process_answers_its_probes_and_metrics_are_well_formed() {
    let fleet = Fleet::start();
    for process in &fleet.line.processes {
        for path in ["/healthz", "/readyz"] {
            assert_eq!(probe(&process.http, path).await.0, StatusCode::OK, "{} {path}", process.name);
        }
        let (status, page) = probe(&process.http, "/metrics").await;
        assert_eq!(status, StatusCode::OK, "{}", process.name);
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("promtool runs: apt-get install prometheus");
        std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), page.as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}: {}",
            process.name,
            String::from_utf8_lossy(&output.stdout)
        );
    }
    assert_eq!(fleet.line.processes.iter().filter(|process| process.role == "server").count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_expression_of_the_dashboards_shows_something_on_a_working_fleet() {
    let fleet = Fleet::start();
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start(&fleet, folder.path());
    prometheus.scrapes(&fleet).await;

    // Work, a restart and a change of strategy, so that every panel has something to show.
    let (mut alice, _) = Client::registered(fleet.server("s1"), "alice").await;
    let (mut bob, bob_id) = Client::registered(fleet.server("s2"), "bob").await;
    bob.raw(r#"{"op":"conversations","id":9000,"limit":1}"#).await.unwrap();
    let group = alice.create(ConversationKind::Group, &[bob_id.account]).await.unwrap();
    signal(fleet.line.servers.iter().find(|server| server.name == "s3").unwrap().pid, "KILL");
    for n in 0..60 {
        if n == 20 {
            let changed = fleet
                .rest()
                .put("/v1/balancing?wait=applied", "*", &json!({"strategy": "round-robin"}))
                .await;
            assert_eq!(changed.status(), StatusCode::OK);
        }
        alice.append(group, "work").await.unwrap();
        Client::connect(fleet.balancer())
            .await
            .unwrap()
            .ask(&Assign::default())
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    prometheus.shows(|dashboard| dashboard != TLS_DASHBOARD);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_of_tls_shows_something_on_a_fleet_that_has_it() {
    let fleet = Fleet::start_with(&["--servers", "1", "--tls"]);
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start(&fleet, folder.path());
    prometheus.scrapes(&fleet).await;
    // Rates need more than one scrape.
    tokio::time::sleep(Duration::from_secs(5)).await;
    prometheus.shows(|dashboard| dashboard == TLS_DASHBOARD);
}
