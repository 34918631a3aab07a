//! Ctrl-C and SIGTERM: the first one ends the measuring, with the figures so far; where nothing is measured, or the
//! second time, the program ends at once.

use crate::trouble::Trouble;
use std::{cell::Cell, future::Future, io, rc::Rc};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Whether somebody wants the run to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    asked: CancellationToken,
    /// The run can end early, with figures.
    can_end_early: Rc<Cell<bool>>,
}

impl Interrupt {
    /// Waits until somebody wants the measuring to end.
    pub(crate) async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// Says whether the run can end early from here on.
    pub(crate) fn can_end_early(&self, can: bool) {
        self.can_end_early.set(can);
    }

    /// Runs to the end, or until a signal that asks for it at once.
    ///
    /// # Errors
    /// The run's, or that it was interrupted.
    pub(crate) async fn guard<T>(&self, run: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
        tokio::select! {
            outcome = run => outcome,
            watched = self.watch() => Err(Trouble::Failed(match watched {
                Ok(()) => "interrupted, without figures".to_owned(),
                Err(error) => format!("can't take signals: {error}"),
            })),
        }
    }

    /// Ends with the signal that asks to end at once.
    async fn watch(&self) -> io::Result<()> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        loop {
            tokio::select! {
                _ = interrupt.recv() => (),
                _ = terminate.recv() => (),
            }
            if !self.can_end_early.replace(false) {
                return Ok(());
            }
            self.asked.cancel();
        }
    }
}
