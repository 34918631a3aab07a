//! Posting the status: on every change, and otherwise often enough not to count as lost.

use super::{Report, control_link::ControlLink, trouble::Trouble};
use crate::metrics::VERSION;
use fastchat_wire::control::{STATUS_INTERVAL_MS, Status};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Changes within this time go out as one status.
const GAP: Duration = Duration::from_millis(50);
/// The last status is worth so much of a stop's time.
const FAREWELL: Duration = Duration::from_millis(500);

/// Posts one process's status.
pub(super) struct Reporter {
    /// To the control plane.
    pub(super) link: ControlLink,
    /// Name of the process.
    pub(super) name: String,
    /// When it started, ms since the Unix epoch.
    pub(super) started_at: u64,
    /// What the role says.
    pub(super) report: watch::Receiver<Report>,
    /// Why the newest spec isn't in force.
    pub(super) problem: watch::Receiver<Option<String>>,
}

impl Reporter {
    /// Posts until `ended`, and then once more.
    pub(super) async fn run(mut self, ended: CancellationToken) {
        let mut trouble = Trouble::new("posting the status");
        while !ended.is_cancelled() {
            let status = self.status();
            match self.link.post(&status).await {
                Ok(()) => trouble.ends(),
                Err(error) => trouble.begins(format!("{error:#}")),
            }
            tokio::time::sleep(GAP).await;
            tokio::select! {
                () = ended.cancelled() => {}
                // Both senders live as long as the shell, which awaits this.
                _ = self.report.changed() => {}
                _ = self.problem.changed() => {}
                () = tokio::time::sleep(Duration::from_millis(STATUS_INTERVAL_MS) - GAP) => {}
            }
        }
        let status = self.status();
        if tokio::time::timeout(FAREWELL, self.link.post(&status)).await.is_err() {
            tracing::debug!("the last status was not answered in time");
        }
    }

    fn status(&mut self) -> Status {
        let refused = self.problem.borrow_and_update().clone();
        let report = self.report.borrow_and_update();
        Status {
            name: self.name.clone(),
            pid: std::process::id(),
            version: VERSION.to_owned(),
            started_at: self.started_at,
            applied_generation: report.applied_generation,
            state: report.state,
            problem: report.problem.clone().or(refused),
            part: report.part.clone(),
        }
    }
}
