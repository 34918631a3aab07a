//! What systemd is told, where it listens (`NOTIFY_SOCKET`): ready, stopping, a line of status, and that we live.
//!
//! The watchdog is fed by a task of the same runtime that serves: where that one
//! hangs, systemd notices.

use super::Report;
use crate::probes::Readiness;
use sd_notify::NotifyState;
use std::{convert::Infallible, time::Duration};
use tokio::sync::watch;

/// While there is no spec yet, a start may take so much longer, again and again.
const EXTEND_US: u32 = 30_000_000;

/// Tells systemd; one that can't be told is no reason to stop.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}

/// Whether a service manager wants to be told.
fn listens() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// How often something is due: three times within the watchdog's time.
fn period() -> Duration {
    let watchdog = sd_notify::watchdog_enabled().map_or(Duration::MAX, |limit| limit / 3);
    watchdog.clamp(Duration::from_millis(50), Duration::from_millis(500))
}

/// Asks for patience as long as the first spec is awaited. Never ends by itself.
pub(super) async fn wait_for_spec() -> Infallible {
    if !listens() {
        return std::future::pending().await;
    }
    let mut due = tokio::time::interval(period());
    loop {
        due.tick().await;
        tell(&[
            NotifyState::ExtendTimeoutUsec(EXTEND_US),
            NotifyState::Status("waiting for the first spec"),
            NotifyState::Watchdog,
        ]);
    }
}

/// Says that the soft stop has begun.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells systemd how the role is doing. Never ends by itself: dropped with the role.
pub(super) async fn run(readiness: Readiness, mut report: watch::Receiver<Report>) {
    if !listens() {
        return std::future::pending().await;
    }
    let mut due = tokio::time::interval(period());
    let (mut told_ready, mut told_line) = (false, String::new());
    loop {
        tokio::select! {
            _ = due.tick() => tell(&[NotifyState::Watchdog]),
            // The shell keeps a sender.
            _ = report.changed() => {}
        }
        if !told_ready && readiness.is_ready() {
            tell(&[NotifyState::Ready]);
            told_ready = true;
        }
        let line = line(&report.borrow_and_update());
        if line != told_line {
            tell(&[NotifyState::Status(&line)]);
            told_line = line;
        }
    }
}

fn line(report: &Report) -> String {
    let line = format!("{:?}, generation {}", report.state, report.applied_generation).to_lowercase();
    match &report.problem {
        Some(problem) => format!("{line}: {}", problem.replace('\n', " ")),
        None => line,
    }
}
