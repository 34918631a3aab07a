//! Fleets to measure, one at a time, and the load on them.

use crate::fleet::{
    generator::{figures, load},
    harness::{Fleet, Ports, admin_binary},
};
use anyhow::{Context, Result, ensure};
use fastchat_schema_testing::Server;
use fastchatd_testing::NatsServer;
use serde_json::{Value, json};
use std::process::Command;

/// What a fleet is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    /// PostgreSQL with fsync; else SQLite.
    pub(crate) postgres: bool,
    pub(crate) servers: usize,
    /// With a CA and a certificate of the fleet's own.
    pub(crate) tls: bool,
    /// Servers reach each other through a NATS server; else each every other.
    pub(crate) nats: bool,
}

/// A fleet that runs, with what it stands on.
struct Stand {
    setting: Setting,
    fleet: Fleet,
    services: Services,
}

/// Servers that are not the fleet's own.
struct Services {
    database: Option<Server>,
    broker: Option<NatsServer>,
}

/// One run's fleets, accounts and figures that several rows need.
pub(crate) struct Lab {
    quick: bool,
    accounts: tempfile::TempDir,
    stand: Option<Stand>,
    one_server: Option<Value>,
}

impl Lab {
    /// Nothing runs yet.
    ///
    /// # Errors
    /// There is no place for temporary files.
    pub(crate) fn new(quick: bool) -> Result<Self> {
        Ok(Self {
            quick,
            accounts: tempfile::tempdir()?,
            stand: None,
            one_server: None,
        })
    }

    /// Runs `fastchat-load` on a fleet of this setting, for so many seconds after its warm-up: its report.
    ///
    /// # Errors
    /// Something was missing, doubled or out of order, or the run failed: then its speed says nothing.
    pub(crate) fn run(&mut self, setting: Setting, arguments: &str, seconds: u32) -> Result<Value> {
        let seconds = f64::from(seconds) / if self.quick { 5.0 } else { 1.0 };
        let warmup = if self.quick { 1 } else { 3 };
        let accounts = self.accounts.path().to_owned();
        let stand = self.stand(setting);
        let mut load = load(&stand.fleet, &accounts, arguments);
        load.args(["--seconds", &seconds.to_string(), "--warmup", &warmup.to_string()]);
        if let Some(database) = &stand.services.database {
            load.args(["--pid", &format!("database={}", database.pid())]);
        }
        if let Some(broker) = &stand.services.broker {
            load.args(["--pid", &format!("bus={}", broker.pid())]);
        }
        if setting.tls {
            load.arg("--ca").arg(stand.fleet.data().join("tls/ca.pem"));
        }
        let output = load.output().context("fastchat-load runs")?;
        ensure!(!output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let (report, code) = figures(&output);
        ensure!(code == Some(0), "fastchat-load {arguments}: {report}");
        Ok(report)
    }

    /// The report of the one-server figure, which others are compared with: measured once in a run.
    ///
    /// # Errors
    /// As [`Lab::run`].
    pub(crate) fn one_server(&mut self, measure: fn(&mut Self) -> Result<Value>) -> Result<Value> {
        if let Some(report) = &self.one_server {
            return Ok(report.clone());
        }
        let report = measure(self)?;
        Ok(self.one_server.insert(report).clone())
    }

    /// Where clients dial the first server.
    ///
    /// # Errors
    /// The fleet has none.
    pub(crate) fn server(&mut self, setting: Setting) -> Result<String> {
        let servers = &self.stand(setting).fleet.line.servers;
        Ok(servers.first().context("a fleet has servers")?.address.clone())
    }

    /// Sends clients on as fast as they ask, not as fast as servers can take them.
    ///
    /// # Errors
    /// The control plane does not answer.
    pub(crate) fn lift_budgets(&mut self, setting: Setting) -> Result<()> {
        let file = self.accounts.path().join("limits.json");
        let none = json!({"per_s": 0, "burst": 1});
        std::fs::write(&file, json!({"server": {"resumes": none, "sign_ins": none}}).to_string())?;
        let line = &self.stand(setting).fleet.line;
        let mut set = Command::new(admin_binary());
        set.args(["limits", "set"]).arg(&file).args(["--url", &line.admin]);
        let set = set.arg("--token-file").arg(&line.token_file).output()?;
        ensure!(set.status.success(), "limits set: {}", String::from_utf8_lossy(&set.stderr));
        Ok(())
    }

    /// The same fleet with all processes new.
    ///
    /// # Errors
    /// It does not run.
    pub(crate) fn restart(&mut self, setting: Setting) -> Result<()> {
        let stand = self.stand.take().filter(|stand| stand.setting == setting);
        let stand = stand.context("there is no such fleet to start again")?;
        let (folder, ports, _) = stand.fleet.stop();
        let fleet = start(folder, ports, setting, &stand.services);
        self.stand = Some(Stand { fleet, ..stand });
        Ok(())
    }

    /// The running fleet of a setting; one of another setting ends first.
    fn stand(&mut self, setting: Setting) -> &mut Stand {
        if self.stand.as_ref().is_none_or(|stand| stand.setting != setting) {
            self.end();
            let services = Services {
                database: setting.postgres.then(Server::start),
                broker: setting.nats.then(NatsServer::start),
            };
            let folder = tempfile::tempdir().expect("a temporary folder");
            let fleet = start(folder, Ports::free(), setting, &services);
            self.stand = Some(Stand { setting, fleet, services });
        }
        self.stand.as_mut().expect("it was just started")
    }

    fn end(&mut self) {
        if let Some(Stand { fleet, services, .. }) = self.stand.take() {
            fleet.stop();
            // Nobody needs what it has, and nothing else is to be measured while it runs.
            services.database.iter().for_each(Server::kill);
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.end();
    }
}

fn start(folder: tempfile::TempDir, ports: Ports, setting: Setting, services: &Services) -> Fleet {
    let servers = setting.servers.to_string();
    let url = services.database.as_ref().map(|database| database.url("postgres"));
    let bus = services.broker.as_ref().map(NatsServer::url);
    let mut flags = vec!["--servers", &servers];
    flags.extend(url.iter().flat_map(|url| ["--database", url]));
    flags.extend(bus.iter().flat_map(|bus| ["--bus", bus]));
    flags.extend(setting.tls.then_some("--tls"));
    Fleet::start_in(folder, ports, &flags)
}

/// A figure of a report.
///
/// # Errors
/// The report hasn't got it.
pub(crate) fn number(report: &Value, key: &str) -> Result<f64> {
    report[key].as_f64().with_context(|| format!("no {key} in {report}"))
}

/// A quantile of a report, in µs.
///
/// # Errors
/// The report hasn't got it.
pub(crate) fn quantile(report: &Value, key: &str, name: &str) -> Result<f64> {
    number(&report[key], name)
}
