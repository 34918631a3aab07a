//! Limits of what clients may take: the machinery that server and balancer share.
//!
//! ```text
//!  spec's limits ──> Quota ──> Rate (one state) │ Rates (one state for each key, bounded, swept)
//!                └─> Exempt: client address ──> AddressKey, or none where it is exempt
//!  Places: what is held at a time, by key; a Place gives its own back
//! ```
//!
//! Whether something is limited is decided by the buckets of `governor`. What is
//! limited is answered `rate-limited` with the time after which it isn't, counted
//! under the limit's name, and never queued.

mod address;
mod places;
mod rates;

pub(crate) use address::{AddressKey, Exempt};
pub(crate) use places::{Place, Places};
pub(crate) use rates::{Rate, Rates};

use fastchat_wire::{Code, ErrorBody};
use prometheus::IntCounterVec;
use std::time::Duration;

/// Something that clients may take only so much of: the label `limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Requests of one connection.
    ConnectionRequests,
    /// Bytes of one connection: read more slowly.
    ConnectionBytes,
    /// Refusals of one connection: closed.
    ConnectionRefusals,
    /// Requests of one account.
    AccountRequests,
    /// Appends of one account.
    AccountAppends,
    /// Bytes of one account: read more slowly.
    AccountBytes,
    /// Connections of one account: the oldest is ended.
    AccountConnections,
    /// Connections of one address.
    AddressConnections,
    /// Connections of one address that have not signed in.
    AddressSigningIn,
    /// `login` from one address.
    AddressSignIns,
    /// `register` from one address.
    AddressRegistrations,
    /// `resume` and `auth-params` from one address.
    AddressResumes,
    /// `assign` from one address.
    AddressAssigns,
    /// Tickets that one address has.
    AddressTickets,
    /// Connections to a server that have not signed in, of all clients.
    ServerSigningIn,
    /// Bytes of blocks under way to a server: read later.
    ServerBlocks,
    /// Connections to a balancer, of all clients.
    BalancerConnections,
    /// Tickets out, of all clients.
    BalancerTickets,
    /// Clients that a balancer pipes.
    BalancerPipes,
}

impl Limit {
    /// Those of a chat server.
    pub(crate) const SERVER: [Self; 14] = [
        Self::ConnectionRequests,
        Self::ConnectionBytes,
        Self::ConnectionRefusals,
        Self::AccountRequests,
        Self::AccountAppends,
        Self::AccountBytes,
        Self::AccountConnections,
        Self::AddressConnections,
        Self::AddressSigningIn,
        Self::AddressSignIns,
        Self::AddressRegistrations,
        Self::AddressResumes,
        Self::ServerSigningIn,
        Self::ServerBlocks,
    ];
    /// Those of a balancer.
    pub(crate) const BALANCER: [Self; 8] = [
        Self::ConnectionRefusals,
        Self::AddressSigningIn,
        Self::AddressSignIns,
        Self::AddressAssigns,
        Self::AddressTickets,
        Self::BalancerConnections,
        Self::BalancerTickets,
        Self::BalancerPipes,
    ];

    /// The label's value.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionRequests => "connection-requests",
            Self::ConnectionBytes => "connection-bytes",
            Self::ConnectionRefusals => "connection-refusals",
            Self::AccountRequests => "account-requests",
            Self::AccountAppends => "account-appends",
            Self::AccountBytes => "account-bytes",
            Self::AccountConnections => "account-connections",
            Self::AddressConnections => "address-connections",
            Self::AddressSigningIn => "address-signing-in",
            Self::AddressSignIns => "address-sign-ins",
            Self::AddressRegistrations => "address-registrations",
            Self::AddressResumes => "address-resumes",
            Self::AddressAssigns => "address-assigns",
            Self::AddressTickets => "address-tickets",
            Self::ServerSigningIn => "server-signing-in",
            Self::ServerBlocks => "server-blocks",
            Self::BalancerConnections => "balancer-connections",
            Self::BalancerTickets => "balancer-tickets",
            Self::BalancerPipes => "balancer-pipes",
        }
    }
}

/// Who is over a limit, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limited {
    pub(crate) limit: Limit,
    /// At the earliest then it is worth another try.
    pub(crate) retry_after: Duration,
}

/// A shorter wait would bring the client back for one request.
const RETRY_AFTER_MIN: Duration = Duration::from_millis(20);
/// A client that waits for longer has given up.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// When there may be a place again: those who have one know, nobody else does.
const PLACE_RETRY_AFTER: Duration = Duration::from_secs(1);

impl Limited {
    /// Over a rate.
    pub(crate) fn rate(limit: Limit, wait: Duration) -> Self {
        Self {
            limit,
            retry_after: wait.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX),
        }
    }

    /// Over a number of things held at a time.
    pub(crate) fn place(limit: Limit) -> Self {
        Self {
            limit,
            retry_after: PLACE_RETRY_AFTER,
        }
    }

    /// Counts it; what to answer.
    pub(crate) fn error(self, counter: &IntCounterVec) -> ErrorBody {
        counter.with_label_values(&[self.limit.as_str()]).inc();
        let (code, message) = match self.limit {
            Limit::ServerSigningIn => (Code::Overloaded, "too many connections here have not signed in"),
            Limit::BalancerConnections => (Code::Overloaded, "the balancer has too many connections"),
            Limit::BalancerTickets => (Code::Overloaded, "too many tickets are out"),
            Limit::BalancerPipes => (Code::Overloaded, "too many clients are piped"),
            Limit::AddressConnections => (Code::RateLimited, "too many connections from your address"),
            Limit::AddressSigningIn => (Code::RateLimited, "too many connections from your address have not signed in"),
            Limit::AddressTickets => (Code::RateLimited, "too many tickets are out for your address"),
            Limit::AddressSignIns | Limit::AddressRegistrations | Limit::AddressResumes => {
                (Code::RateLimited, "too many sign-ins from your address")
            }
            Limit::AddressAssigns => (Code::RateLimited, "too many assigns from your address"),
            Limit::AccountRequests | Limit::AccountBytes | Limit::AccountConnections => {
                (Code::RateLimited, "too many requests of your account")
            }
            Limit::AccountAppends => (Code::RateLimited, "too many appends of your account"),
            Limit::ConnectionRequests | Limit::ConnectionBytes | Limit::ServerBlocks => {
                (Code::RateLimited, "too many requests on this connection")
            }
            Limit::ConnectionRefusals => (Code::RateLimited, "wait as long as retry-after-ms says: this connection is closed"),
        };
        // Rounded up: a client that comes back a moment too early would be refused again.
        let ms = u64::try_from(self.retry_after.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
        ErrorBody::retry_after(code, format!("{message}: try again in {ms} ms"), ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_limited_is_told_for_how_long_and_counted() {
        let counter = IntCounterVec::new(prometheus::Opts::new("limited", "limited"), &["limit"]).unwrap();
        for limit in Limit::SERVER.into_iter().chain(Limit::BALANCER) {
            let error = Limited::rate(limit, Duration::from_micros(1_000_500)).error(&counter);
            assert!(error.code.is_retryable(), "{limit:?}");
            assert_eq!(error.retry_after_ms, Some(1_001));
            assert!(counter.with_label_values(&[limit.as_str()]).get() > 0);
        }
        assert_eq!(
            Limited::rate(Limit::AddressAssigns, Duration::ZERO).error(&counter).retry_after_ms,
            Some(20)
        );
        assert_eq!(
            Limited::rate(Limit::AddressAssigns, Duration::MAX).error(&counter).retry_after_ms,
            Some(60_000)
        );
    }
}
