//! Accepting: a bounded number of connections, each a task that is owned here.

use super::limits::Limits;
use std::{io, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// After a failed accept (no descriptors left, mostly): when to try again.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Accepts until `shutdown`, then waits for the connections to end.
/// `serve` is one connection's life, `refuse` what one beyond `max` is told.
pub(super) async fn run<F>(
    listener: TcpListener,
    max: usize,
    limits: Limits,
    shutdown: &CancellationToken,
    serve: impl Fn(TcpStream) -> F,
    refuse: impl Fn(TcpStream),
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            // Ended tasks first, so that their places are free for who comes.
            Some(ended) = connections.join_next() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < max => {
                    connections.spawn(serve(stream));
                }
                Ok((stream, _)) => refuse(stream),
                Err(error) => pause(error).await,
            },
        }
    }
    // Who connects from here on is refused, not left waiting.
    drop(listener);
    let all = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if timeout(limits.stop, all).await.is_err() {
        connections.shutdown().await;
    }
}

async fn pause(error: io::Error) {
    tracing::warn!(%error, "a connection can't be accepted; raise the limit of open files if this stays");
    sleep(ACCEPT_RETRY).await;
}

/// A panic ends one connection, not the balancer; but it is a fault of ours.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}
