//! A client's place: limits, pick, budget, reservation, in one step under the dispatcher's lock.
//!
//! ```text
//!  tickets left? ─> candidates ─> pick ─> budget: when ─> reserved until then ─> shadows, recorder
//! ```
//!
//! In this order nothing is to be taken back: whoever is refused has taken nothing.

use super::Inner;
use crate::{
    balancer::{
        admission::Holder,
        budget::{Class, UsedUp},
    },
    limits::{Limit, Limited},
};
use fastchat_balancing::strategy::Scene;
use fastchat_wire::{Code, ErrorBody, chat::assign::Assign, limits::LOAD_INTERVAL_MS};
use prometheus::IntCounterVec;
use rand::Rng;

/// Without a server to give: when to ask again.
const NO_SERVER_RETRY_MS: u64 = 500;
/// A reservation outlives its ticket by this: the load that says that it was used may still be on its way.
const REPORT_GRACE_MS: u64 = LOAD_INTERVAL_MS;

/// Where a client goes, and when.
#[derive(Debug)]
pub(super) struct Placed {
    /// The server's name.
    pub(super) server: String,
    /// Where it is dialled.
    pub(super) address: String,
    /// The ticket's number.
    pub(super) number: u64,
    /// It comes after this time (ms); the ticket's life starts then.
    pub(super) wait_ms: u64,
}

impl Inner {
    /// Finds a client's place at `now` and reserves it; the ticket is still to be signed.
    ///
    /// # Errors
    /// As [`super::Dispatcher::assign`].
    pub(super) fn place(
        &mut self,
        now: u64,
        request: &Assign,
        holder: Option<Holder>,
        tickets_max: usize,
        limited: &IntCounterVec,
    ) -> Result<Placed, ErrorBody> {
        let Self {
            registry,
            strategy,
            shadows,
            recorder,
            standings,
            budgets,
            rng,
            ..
        } = self;
        // A ticket that is over is out no more.
        registry.expire(now);
        if registry.outstanding() >= tickets_max {
            return Err(Limited::place(Limit::BalancerTickets).error(limited));
        }
        let over = |holder: &Holder| holder.tickets_max > 0 && registry.held_by(holder.address.into()) >= holder.tickets_max;
        if holder.as_ref().is_some_and(over) {
            return Err(Limited::place(Limit::AddressTickets).error(limited));
        }
        let candidates = registry.candidates(now, request.move_id);
        let scene = Scene {
            now,
            candidates: &candidates,
            hint: request.hint.as_deref(),
        };
        // One of the candidates, as strategies promise: what is taken from here on is taken for a server that is there.
        let picked = strategy
            .pick(&scene, rng)
            .filter(|picked| candidates.binary_search_by_key(picked, |candidate| candidate.index).is_ok())
            .ok_or_else(no_server)?;
        let class = if request.resume { Class::Resume } else { Class::SignIn };
        let wait_ms = budgets.book(picked, class, now).map_err(used_up)?;
        // As they are without this client.
        standings.clear();
        standings.extend(registry.standings());
        let number = rng.next_u64();
        let reserved_until = now
            .saturating_add(self.ticket_ms)
            .saturating_add(wait_ms)
            .saturating_add(REPORT_GRACE_MS);
        let (server, address) = registry
            .reserve(picked, number, reserved_until, request.move_id)
            .map(|(server, address)| (server.to_owned(), address.to_owned()))
            .ok_or_else(no_server)?;
        if let Some(holder) = holder {
            registry.hold(number, holder.address.into());
        }
        shadows.assign(standings, &scene, picked);
        let name = |index| registry.name(index).to_owned();
        recorder.assign(now, standings, name, request.hint.as_deref(), picked);
        Ok(Placed {
            server,
            address,
            number,
            wait_ms,
        })
    }
}

fn no_server() -> ErrorBody {
    ErrorBody::retry_after(Code::NoServer, "no server takes new clients now: ask again", NO_SERVER_RETRY_MS)
}

fn used_up(UsedUp { retry_after_ms }: UsedUp) -> ErrorBody {
    let message = "more clients are on their way to the servers than they can take: ask again later";
    ErrorBody::retry_after(Code::Overloaded, message, retry_after_ms)
}
