//! What starts and ends instances. The agent knows nothing else of them.

mod holder;
mod log_file;
mod process;

pub(crate) use process::ProcessLauncher;

use super::reconcile::Seen;
use async_trait::async_trait;
use fastchat_wire::control::InstanceSpec;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

/// How an instance is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It may finish what it does.
    Soft,
    /// At once.
    Hard,
}

/// Starts, ends and sees instances.
#[async_trait]
pub(crate) trait Launcher: Send {
    /// Starts an instance. It is seen as running from then on, ready or not.
    ///
    /// # Errors
    /// It can't be started; that is also how it is seen to have ended.
    async fn start(&mut self, instance: &InstanceSpec) -> io::Result<()>;

    /// Asks an instance to end; one that has ended is no error.
    ///
    /// # Errors
    /// It can't be asked.
    async fn stop(&mut self, name: &str, how: Stop) -> io::Result<()>;

    /// Looks at instances, whoever started them.
    async fn observe(&mut self, names: &BTreeSet<String>) -> BTreeMap<String, Seen>;

    /// Waits until something may have changed in what [`observe`](Self::observe) says. May be dropped at any time.
    async fn changed(&mut self);

    /// Keeps house: bounds the logs.
    async fn tidy(&mut self);

    /// From now on, instances that still run when the launcher is dropped are stopped hard.
    fn end_with_agent(&mut self);
}
