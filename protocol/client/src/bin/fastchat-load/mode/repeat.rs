//! One operation again and again, by many at once.

use crate::{
    report::Report,
    stage::{Stage, Timing},
    tally::add,
    trouble::Trouble,
};
use std::{rc::Rc, time::Duration};
use tokio::{task::JoinSet, time::sleep};

/// A worker whose operation failed waits so long: a fleet that is away is not worth a busy loop.
const PAUSE: Duration = Duration::from_millis(20);

/// Runs each worker's operation in a loop and reports how often and how long.
///
/// # Errors
/// None of them ever succeeded: the last failure.
pub(crate) async fn run<W>(
    stage: &mut Stage,
    mode: &'static str,
    timing: Timing,
    workers: Vec<W>,
    operation: impl AsyncFn(&mut W) -> Result<(), Trouble> + 'static,
) -> Result<Report, Trouble>
where
    W: 'static,
{
    let operation = Rc::new(operation);
    let clock = stage.clock;
    let mut tasks = JoinSet::new();
    for mut worker in workers {
        let (operation, tally) = (Rc::clone(&operation), Rc::clone(&stage.tally));
        tasks.spawn_local(async move {
            loop {
                let start_ns = clock.now_ns();
                match operation(&mut worker).await {
                    Ok(()) => {
                        add(&tally.operations, 1);
                        tally.operation.record_ns(clock.now_ns() - start_ns);
                    }
                    Err(trouble) => {
                        tally.error(trouble.code());
                        sleep(PAUSE).await;
                    }
                }
            }
        });
    }
    let measured = stage.measure(timing).await;
    drop(tasks);
    Ok(stage.with_processes(Report::of_operations(mode, measured, &stage.tally)))
}
