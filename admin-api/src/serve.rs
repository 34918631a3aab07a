//! `fastchat-admin serve`: the control plane.

use crate::app::{App, Decision};
use crate::data::{CONTROL, DataFolder, Lock};
use crate::denials::Denials;
use crate::desired::{Edit, Settings};
use crate::https::{Door, Remote};
use crate::metrics::Metrics;
use crate::store;
use crate::tokens::TokenDigest;
use crate::{reconciler, routes, signals};
use anyhow::{Context, anyhow, bail};
use fastchat_tls::{Acceptor, Identity, Protocol, is_loopback_host};
use fastchat_wire::{Secret, control::BusPlace};
use std::convert::Infallible;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Requests that are under way at the end get this long.
const STOP_TIME_MAX: Duration = Duration::from_secs(1);

/// Options of `serve`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Folder of the admin's token, the blobs and, unless told otherwise, the database
    #[arg(long, env = "FASTCHAT_DATA", default_value = "./fastchat-data", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Where REST and the control link are served
    #[arg(long, env = "FASTCHAT_ADMIN_LISTEN", default_value = "127.0.0.1:7100", value_name = "HOST:PORT")]
    pub(crate) listen: SocketAddr,
    /// Database of the fleet, sqlite:PATH or postgres://USER@HOST/NAME [default: SQLite in the data folder];
    /// one with a password belongs into the environment
    #[arg(long, env = "FASTCHAT_DATABASE", hide_env_values = true, value_parser = secret, value_name = "URL")]
    pub(crate) database: Option<Secret>,
    /// Serve HTTPS, with the certificate in this PEM file (then those between it and the CA); a new one in it is used at once
    #[arg(long, env = "FASTCHAT_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// PEM file of its private key, closed to other users
    #[arg(long, env = "FASTCHAT_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// How the servers reach each other: mesh, nats://HOST:PORT or tls://HOST:PORT;
    /// a URL with a password belongs into the environment
    #[arg(long, env = "FASTCHAT_BUS", hide_env_values = true, default_value = "mesh", hide_default_value = true, value_parser = secret, value_name = "URL")]
    pub(crate) bus: Secret,
    /// Where processes find the control plane [default: http:// or https:// and the listener's address]
    #[arg(long, env = "FASTCHAT_CONTROL_URL", value_name = "URL")]
    pub(crate) control_url: Option<String>,
    /// Listen beyond this machine without TLS: tokens travel in the clear
    #[arg(long)]
    pub(crate) allow_plaintext: bool,
}

/// An option that may hold a secret.
pub(crate) fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// Refuses a bus that can't be, and a broker that would be dialled in the clear beyond this machine. Not where the option is read: what is wrong there is repeated with its value.
///
/// # Errors
/// What is wrong, without the URL.
pub(crate) fn check_bus(bus: &Secret, allow_plaintext: bool) -> anyhow::Result<()> {
    match BusPlace::parse(bus.expose()).context("--bus")? {
        BusPlace::Mesh => Ok(()),
        BusPlace::Nats(place) => place.check_plain(|host| allow_plaintext || is_loopback_host(host)).context("--bus"),
    }
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// It can't start; the message says what to do.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let acceptor = match (&args.tls_certificate, &args.tls_key) {
        (Some(certificate), Some(key)) => {
            let identity = Identity {
                certificate: certificate.clone(),
                key: key.clone(),
            };
            Acceptor::tls(identity, Protocol::Http)?
        }
        _ => Acceptor::plain(),
    };
    check_listen(args.listen, args.allow_plaintext || acceptor.is_tls())?;
    check_bus(&args.bus, args.allow_plaintext)?;
    let control = control_url(&args)?;
    let data = DataFolder::open(&args.data)?;
    let _lock = Lock::take(&data.process(CONTROL)?.join("lock"))?.map_err(|pid| {
        anyhow!(
            "a control plane runs on {} already{}; end it first",
            data.path().display(),
            pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
        )
    })?;
    let listener = bind(args.listen).await?;
    let database = data.database(args.database.as_ref().map(Secret::expose));
    fastchat_schema::wait_for_server(database.expose()).await;
    let store = store::open(database.expose()).await?;
    let token = TokenDigest::of(data.create_admin_token()?.expose());
    let settings = Settings {
        control,
        database,
        blobs: data.blobs().display().to_string(),
        bus: args.bus.clone(),
    };

    let shutdown = CancellationToken::new();
    let (denials, writer) = Denials::new();
    let app = Arc::new(App::load(store.clone(), Metrics::new(routes::TABLE)?, denials, token, shutdown.clone()).await?);
    tell_settings(&app, &settings).await?;

    let mut tasks = JoinSet::new();
    tasks.spawn(reconciler::run(app.clone()));
    tasks.spawn(writer.run(store.clone()));
    tasks.spawn(signals::cancel_on_stop(shutdown.clone())?);
    tracing::info!(listen = %args.listen, data = %data.path().display(), generation = app.fleet().generation, "the control plane serves");
    // Without systemd nobody listens, and that is well.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);

    let service = routes::router(&app).into_make_service_with_connect_info::<Remote>();
    let stop = shutdown.clone();
    let door = Door::new(listener, acceptor, app.metrics.door());
    let serving = axum::serve(door, service).with_graceful_shutdown(async move { stop.cancelled().await });
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(STOP_TIME_MAX).await;
    };
    tokio::select! {
        served = async { serving.await } => served.context("the listener failed")?,
        () = late => tracing::warn!("requests were cut off at the end"),
    }
    drop(app);
    // The writer ends when the last request has dropped its end of the queue.
    let _ = tokio::time::timeout(STOP_TIME_MAX, tasks.join_next()).await;
    tasks.shutdown().await;
    store.close().await;
    tracing::info!("the control plane ended as asked");
    Ok(())
}

/// Refuses to send tokens over a network in the clear.
///
/// # Errors
/// The address is not a loopback one.
pub(crate) fn check_listen(listen: SocketAddr, allow_plaintext: bool) -> anyhow::Result<()> {
    if listen.port() == 0 {
        bail!("the control plane needs a port that processes can be told; give another one than 0");
    }
    if listen.ip().is_loopback() || allow_plaintext {
        return Ok(());
    }
    bail!(
        "{listen} is not on this machine alone, and tokens would travel in the clear: listen on 127.0.0.1, give a certificate (--tls-certificate, --tls-key), or --allow-plaintext on a network that you trust"
    )
}

fn control_url(args: &Args) -> anyhow::Result<String> {
    match &args.control_url {
        Some(url) if ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) => Ok(url.trim_end_matches('/').to_owned()),
        Some(url) => bail!("--control-url can't be {url:?}; give http://HOST:PORT or https://HOST:PORT"),
        None if args.listen.ip().is_unspecified() => {
            bail!(
                "processes can't dial {}; give --control-url http://HOST:PORT with an address of this machine",
                args.listen
            )
        }
        None if args.tls_certificate.is_some() => Ok(format!("https://{}", args.listen)),
        None => Ok(format!("http://{}", args.listen)),
    }
}

async fn bind(listen: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(listen)
        .await
        .with_context(|| format!("can't listen on {listen}; end what holds it, or give another --listen"))
}

/// What processes are told by their specs; a new generation only where it changed.
async fn tell_settings(app: &App, settings: &Settings) -> anyhow::Result<()> {
    let told = app.change(|fleet| {
        let changed = fleet.cluster.settings != *settings;
        let edits = changed.then(|| Edit::SetSettings(settings.clone())).into_iter().collect();
        Ok(Decision {
            edits,
            audit: None,
            receipt: None,
            value: (),
        })
    });
    told.await.map_err(|error| anyhow!(crate::problem::Problem::from(error).detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_listened_on_unless_plaintext_is_allowed() {
        let check = |listen: &str, allowed| check_listen(listen.parse().unwrap(), allowed);
        assert!(check("127.0.0.1:7100", false).is_ok());
        assert!(check("[::1]:7100", false).is_ok());
        assert!(check("0.0.0.0:7100", true).is_ok());
        assert!(
            check("192.168.1.5:7100", false)
                .unwrap_err()
                .to_string()
                .contains("--allow-plaintext")
        );
        assert!(check("127.0.0.1:0", false).is_err());
    }

    #[test]
    fn a_broker_elsewhere_is_dialled_by_tls_unless_plaintext_is_allowed() {
        let check = |bus: &str, allowed| check_bus(&Secret::new(bus.to_owned()), allowed);
        for bus in ["mesh", "nats://127.0.0.1:4222", "nats://localhost", "tls://nats.example.org"] {
            check(bus, false).unwrap();
        }
        for bus in ["nats://u:hidden@nats.example.org:4222", "nats://u:hidden@127.0.0.1,10.0.0.9"] {
            let said = format!("{:#}", check(bus, false).unwrap_err());
            assert!(
                said.contains("tls://") && said.contains("--allow-plaintext") && !said.contains("hidden"),
                "{said}"
            );
            check(bus, true).unwrap();
        }
    }
}
