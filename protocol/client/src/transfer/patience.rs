//! Which failures a transfer bears, how often, and with which pauses.

use super::TransferError;
use crate::{config::Timing, connection::Connection, error::Failure, limits::TRANSFER_FAILURES_MAX, session::backoff};
use std::{io, time::Duration};
use tokio::time::sleep;

/// What interrupted a transfer.
#[derive(Debug)]
pub(super) enum Setback {
    /// Ask again.
    Retry(Failure),
    /// Asking again changes nothing.
    End(TransferError),
}

impl From<Failure> for Setback {
    fn from(failure: Failure) -> Self {
        let may_pass = match &failure {
            Failure::Lost(_) | Failure::TimedOut(_) => true,
            Failure::Refused(refused) => refused.code.is_retryable() || refused.ends_the_connection(),
            Failure::Misbehaved(_) | Failure::Usage(_) => false,
        };
        if may_pass {
            Self::Retry(failure)
        } else {
            Self::End(failure.into())
        }
    }
}

impl From<io::Error> for Setback {
    fn from(error: io::Error) -> Self {
        Self::End(error.into())
    }
}

/// How far a transfer is, and how long it has got no further.
pub(super) struct Patience<'a> {
    timing: &'a Timing,
    progress: &'a (dyn Fn(u64, u64) + Send + Sync),
    size: u64,
    furthest: u64,
    /// In a row and without a byte more: failures on this connection, and lost connections.
    failures: u32,
    losses: u32,
}

impl<'a> Patience<'a> {
    pub(super) fn new(timing: &'a Timing, progress: &'a (dyn Fn(u64, u64) + Send + Sync), size: u64) -> Self {
        Self {
            timing,
            progress,
            size,
            furthest: 0,
            failures: 0,
            losses: 0,
        }
    }

    /// So many bytes are done.
    pub(super) fn reached(&mut self, done: u64) {
        if done > self.furthest {
            self.furthest = done;
            self.failures = 0;
            self.losses = 0;
        }
        (self.progress)(done, self.size);
    }

    /// Waits for the time of the next try.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn bear(&mut self, setback: Setback, connection: &Connection) -> Result<(), TransferError> {
        let failure = match setback {
            Setback::Retry(failure) => failure,
            Setback::End(error) => return Err(error),
        };
        tracing::debug!(%failure, done = self.furthest, "a transfer is interrupted");
        if matches!(&failure, Failure::Refused(refused) if refused.ends_the_connection()) {
            // The session finds another server, or tells why there is none.
            connection.close();
        }
        sleep(self.pause(failure, rand::random())?).await;
        Ok(())
    }

    /// How long to wait; `jitter` is 0 to 1.
    fn pause(&mut self, failure: Failure, jitter: f64) -> Result<Duration, Failure> {
        let (retry_after, is_lost) = match &failure {
            Failure::Refused(refused) => (refused.retry_after, refused.ends_the_connection()),
            Failure::Lost(_) => (None, true),
            Failure::TimedOut(_) | Failure::Misbehaved(_) | Failure::Usage(_) => (None, false),
        };
        if is_lost {
            // The session pauses before it has another one: only a row of losses is slowed down here.
            self.failures = 0;
            self.losses = self.losses.saturating_add(1);
            return Ok(match self.losses {
                1 => Duration::ZERO,
                losses => backoff(self.timing, losses - 1, jitter),
            });
        }
        self.failures += 1;
        if self.failures > TRANSFER_FAILURES_MAX {
            return Err(failure);
        }
        Ok(retry_after.unwrap_or_default() + backoff(self.timing, self.failures, jitter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{connection::Closed, error::Refused};
    use fastchat_wire::{Code, ErrorBody};

    fn refused(code: Code, retry_after_ms: Option<u64>) -> Failure {
        let error = ErrorBody {
            retry_after_ms,
            ..ErrorBody::new(code, "no")
        };
        Failure::Refused(Refused::new(&error, None))
    }

    fn with_patience(test: impl FnOnce(&mut Patience<'_>)) {
        let timing = Timing {
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(1),
            ..Timing::default()
        };
        test(&mut Patience::new(&timing, &|_, _| {}, 100));
    }

    #[test]
    fn only_what_may_pass_is_borne() {
        let passing = [
            Code::Unavailable,
            Code::Overloaded,
            Code::RateLimited,
            Code::Internal,
            Code::Draining,
        ];
        for code in Code::ALL {
            let is_borne = matches!(refused(*code, None).into(), Setback::Retry(_));
            let expected = passing.contains(code) || matches!(code, Code::Unauthenticated | Code::Locked);
            assert_eq!(is_borne, expected, "{code}");
        }
        assert!(matches!(Failure::Misbehaved(String::new()).into(), Setback::End(_)));
        assert!(matches!(Failure::Lost(Closed::There).into(), Setback::Retry(_)));
    }

    #[test]
    fn so_many_failures_without_a_byte_more_and_it_is_over() {
        with_patience(|patience| {
            patience.reached(10);
            for _ in 0..TRANSFER_FAILURES_MAX {
                // Bytes that were there before are none more.
                patience.reached(10);
                patience.pause(refused(Code::Unavailable, None), 1.0).unwrap();
            }
            assert_eq!(
                patience.pause(refused(Code::Overloaded, None), 1.0).unwrap_err().code(),
                Some(Code::Overloaded)
            );
        });
    }

    #[test]
    fn a_byte_more_or_another_connection_begins_anew() {
        with_patience(|patience| {
            for done in 1..100 {
                patience.pause(refused(Code::Unavailable, None), 1.0).unwrap();
                patience.reached(done);
            }
            for _ in 0..100 {
                patience.pause(Failure::TimedOut(Duration::ZERO), 1.0).unwrap();
                patience.pause(Failure::Lost(Closed::There), 1.0).unwrap();
            }
        });
    }

    #[test]
    fn pauses_grow_retry_after_is_waited_for_and_the_first_loss_costs_nothing() {
        with_patience(|patience| {
            let pause = |patience: &mut Patience<'_>, failure| patience.pause(failure, 1.0).unwrap().as_millis();
            assert_eq!(pause(patience, refused(Code::Unavailable, None)), 100);
            assert_eq!(pause(patience, refused(Code::Unavailable, Some(5_000))), 5_200);
            assert_eq!(pause(patience, Failure::Lost(Closed::There)), 0);
            assert_eq!(pause(patience, Failure::Lost(Closed::There)), 100);
            assert_eq!(pause(patience, refused(Code::Draining, None)), 200);
        });
    }
}
