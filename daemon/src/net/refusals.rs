//! Telling somebody who is not let in why, where it takes a handshake first. That
//! costs a signature, and somebody may come again and again: it is done for few at
//! a time and few a second, and the others just see their connection end.

use crate::limits::Rate;
use fastchat_wire::control::limits;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::task::TaskTracker;

/// At a time.
const PLACES: usize = 32;
/// In the long run and at once; a handshake takes a core 1 ms at most.
const RATE: limits::Rate = limits::Rate { per_s: 50.0, burst: 100 };
/// One takes no longer than this, handshake and last words.
const TIME: Duration = Duration::from_secs(2);

/// Those of one door. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Refusals {
    places: Arc<Semaphore>,
    rate: Arc<Rate>,
    time: Duration,
    tasks: TaskTracker,
}

impl Default for Refusals {
    fn default() -> Self {
        Self::new(PLACES, RATE, TIME)
    }
}

impl Refusals {
    fn new(places: usize, rate: limits::Rate, time: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            rate: Arc::new(Rate::new(rate)),
            time,
            tasks: TaskTracker::new(),
        }
    }

    /// Runs one, within its time; drops it where there are too many.
    pub(super) fn begin(&self, refusal: impl Future<Output = ()> + Send + 'static) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        if self.rate.take(1).is_err() {
            return;
        }
        let time = self.time;
        self.tasks.spawn(async move {
            // The time is the bound; running into it is the usual end of a peer that says nothing.
            let _ = timeout(time, refusal).await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::{sync::oneshot, time::sleep};

    /// Tells whether it was run or dropped.
    async fn is_run(refusals: &Refusals) -> bool {
        let (run, told) = oneshot::channel();
        refusals.begin(async move {
            // The test may have ended.
            let _ = run.send(());
        });
        told.await.is_ok()
    }

    #[tokio::test]
    async fn one_beyond_the_places_is_dropped_and_each_place_is_free_after_its_time() {
        let refusals = Refusals::new(2, RATE, Duration::from_millis(300));
        for _ in 0..2 {
            refusals.begin(pending());
        }
        assert!(!is_run(&refusals).await);
        let free = async {
            while !is_run(&refusals).await {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), free).await.expect("no place is given back");
    }

    #[tokio::test]
    async fn one_beyond_the_burst_is_dropped() {
        let rate = limits::Rate { per_s: 1e-5, burst: 3 };
        let refusals = Refusals::new(10, rate, TIME);
        for _ in 0..3 {
            assert!(is_run(&refusals).await);
        }
        assert!(!is_run(&refusals).await);
    }
}
