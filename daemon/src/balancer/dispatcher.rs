//! The dispatcher: registry and strategy behind the balancer's one lock.
//!
//! ```text
//!  clients ── assign ────────────────┐              ┌── registry
//!  links ── attach, load, detach ────┼─> dispatcher ┼── strategy
//!  spec ── apply ────────────────────┘       │      └── randomness
//!                                            └─ changed ──> links (`reserved`), status
//! ```
//!
//! This is where the pure parts meet the clock and the randomness. The lock is
//! never held across an await, and tickets are signed and checked outside it.

mod place;
mod view;

use super::{
    admission::Holder,
    budget::Budgets,
    metrics::{Metrics, as_gauge},
    trial::{Breach, Trial},
};
use crate::{
    fleet_key::{self, FleetKey},
    ticket::{self, Ticket},
};
use fastchat_balancing::{
    recorder::Recorder,
    registry::{LinkId, Policy, Registry, Replaced, Reported},
    shadow::{Shadows, Standing},
    strategy::{self, Strategy},
};
use fastchat_wire::{
    Code, ErrorBody, Secret,
    chat::assign::{Assign, Assigned},
    control::{BalancerSpec, Balancing, Reverted},
    link::{attach::Attach, load::Load},
};
use place::Placed;
use rand::{Rng, rngs::StdRng};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use view::View;

/// See the module.
pub(super) struct Dispatcher {
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
    applied: Notify,
    metrics: Metrics,
    tickets_max: usize,
    started: Instant,
}

struct Inner {
    registry: Registry,
    strategy: Box<dyn Strategy>,
    shadows: Shadows,
    recorder: Recorder,
    /// The servers as shadows and recorder are shown them; kept for its room.
    standings: Vec<Standing>,
    balancing: Balancing,
    /// Set where that stands only once it is confirmed.
    trial: Option<Trial>,
    /// The document that was given up; it is not taken up again.
    reverted: Option<Reverted>,
    budgets: Budgets,
    key: FleetKey,
    ticket_ms: u64,
    rng: StdRng,
    applied: Applied,
}

/// How far the newest spec is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Applied {
    /// Generation of the newest spec that is in force as a whole.
    pub(super) generation: u64,
    /// What keeps a newer one from being so.
    pub(super) problem: Option<String>,
}

impl Dispatcher {
    /// Starts by the first spec. Where its strategy can't be built, the initial
    /// one stays in force and the status says so. What this balancer has given
    /// up before is not tried again. At most `tickets_max` tickets are out at a time.
    pub(super) fn new(
        generation: u64,
        spec: &BalancerSpec,
        given_up: Option<Reverted>,
        tickets_max: usize,
        metrics: Metrics,
        mut rng: StdRng,
    ) -> Self {
        let (balancing, strategy) = strategy::initial();
        let shadows = Shadows::new(&balancing.strategy, rng.next_u64());
        let mut registry = Registry::default();
        registry.set_slow_start(strategy::slow_start_ms(&balancing));
        let dispatcher = Self {
            inner: Mutex::new(Inner {
                registry,
                strategy,
                shadows,
                recorder: Recorder::default(),
                standings: Vec::new(),
                balancing,
                trial: None,
                reverted: None,
                budgets: Budgets::new(&spec.limits.server, spec.balancers),
                key: FleetKey::new(spec.fleet_key.clone()),
                ticket_ms: spec.ticket_ms,
                rng,
                applied: Applied::default(),
            }),
            changed: watch::Sender::new(()),
            applied: Notify::new(),
            metrics,
            tickets_max,
            started: Instant::now(),
        };
        let problem = match (&spec.trial, given_up) {
            (Some(trial), Some(given_up)) if given_up.generation == spec.balancing.generation => {
                let mut inner = dispatcher.lock();
                inner.reverted = Some(given_up);
                inner.set_balancing(&trial.former).err()
            }
            _ => None,
        };
        let asked_for = spec.trial.as_ref().map_or(0, |trial| trial.started_at);
        dispatcher.take_up(generation, spec, problem, unix_ms().saturating_sub(asked_for));
        dispatcher.look();
        dispatcher
    }

    /// Puts a spec in force between two picks. Servers, reservations and counts
    /// stay as they are; a strategy that stays the same keeps its state, and one
    /// that can't be built leaves the present one in force. `problem` is what
    /// the caller could not apply.
    pub(super) fn apply(&self, generation: u64, spec: &BalancerSpec, problem: Option<String>) {
        self.take_up(generation, spec, problem, 0);
    }

    /// As [`Self::apply`]; a trial in it was asked for `trial_age_ms` ago.
    fn take_up(&self, generation: u64, spec: &BalancerSpec, problem: Option<String>, trial_age_ms: u64) {
        let now = self.now();
        let mut inner = self.lock();
        let mut problems: Vec<_> = problem.into_iter().collect();
        let wanted = &spec.balancing;
        if inner.has_news(wanted) {
            match inner.set_balancing(wanted) {
                Ok(()) => {
                    inner.trial = spec.trial.as_ref().map(|trial| Trial::new(trial, now, trial_age_ms));
                    inner.reverted = None;
                }
                Err(fault) => problems.push(fault),
            }
        }
        inner.budgets.apply(&spec.limits.server, spec.balancers);
        inner.key = FleetKey::new(spec.fleet_key.clone());
        inner.ticket_ms = spec.ticket_ms;
        inner.registry.set_policy(Policy {
            excluded: spec.excluded.iter().cloned().collect(),
            clients_max: spec.connections_max.iter().map(|(name, max)| (name.clone(), *max)).collect(),
        });
        if problems.is_empty() {
            inner.applied = Applied { generation, problem: None };
        } else {
            inner.applied.problem = Some(problems.join("; "));
        }
        self.show_strategy(&inner);
        self.metrics.generation.set(as_gauge(inner.applied.generation));
        drop(inner);
        self.changed.send_replace(());
        self.applied.notify_one();
    }

    /// A spec was applied since this was awaited last. For one who waits.
    pub(super) async fn applied(&self) {
        self.applied.notified().await;
    }

    /// Gives a client a server, with a ticket that reserves its place there.
    /// Tickets count for their holder, where there is one.
    ///
    /// # Errors
    /// `no-server`, `rate-limited` where too many tickets are out for the holder,
    /// or `overloaded` where too many are out for all, or too many are on their way to the server.
    pub(super) fn assign(&self, request: &Assign, holder: Option<Holder>) -> Result<Assigned, ErrorBody> {
        let began = Instant::now();
        let now = self.now();
        let mut inner = self.lock();
        let placed = inner.place(now, request, holder, self.tickets_max, &self.metrics.limited);
        if let Some(trial) = &mut inner.trial {
            // Waiting for the lock counts, signing does not: that is no strategy's doing.
            let refused = matches!(&placed, Err(error) if matches!(error.code, Code::NoServer | Code::Overloaded));
            trial.answered(began.elapsed().as_secs_f64() * 1e3, refused);
        }
        let placed = placed.map(|placed| (placed, inner.key.clone(), inner.ticket_ms));
        self.count(&inner);
        drop(inner);
        let (placed, key, ticket_ms) = placed?;
        let Placed {
            server,
            address,
            number,
            wait_ms,
        } = placed;
        self.metrics.assigns.with_label_values(&[&server]).inc();
        self.metrics.waits.observe(wait_ms as f64 / 1e3);
        self.changed.send_replace(());
        let ticket = Ticket {
            number,
            expires_at: unix_ms().saturating_add(ticket_ms).saturating_add(wait_ms),
        };
        Ok(Assigned {
            ticket: ticket::issue(&key, &server, ticket),
            server,
            address: Some(address),
            wait_ms,
            expires_in_ms: ticket_ms,
        })
    }

    /// Lets a server join; its numbers have been checked.
    ///
    /// # Errors
    /// `unauthenticated` where its token isn't this fleet's for that name.
    pub(super) fn attach(&self, request: &Attach) -> Result<LinkId, ErrorBody> {
        let key = self.lock().key.clone();
        if !fleet_key::same(&request.token, &key.attach_token(&request.server)) {
            return Err(ErrorBody::new(
                Code::Unauthenticated,
                "the token is not this fleet's for that server: check its spec",
            ));
        }
        let mut reported = reported(&key, &request.server, &request.load);
        reported.redeemed.extend(numbers(&key, &request.server, &request.redeemed));
        let now = self.now();
        let mut inner = self.lock();
        let link = inner
            .registry
            .attach(now, &request.server, request.address.clone(), request.weight, &reported);
        self.count(&inner);
        drop(inner);
        self.changed.send_replace(());
        Ok(link)
    }

    /// Takes over what a server says of itself.
    ///
    /// # Errors
    /// A newer link has replaced this one.
    pub(super) fn load(&self, link: LinkId, server: &str, load: &Load) -> Result<(), Replaced> {
        let key = self.lock().key.clone();
        let reported = reported(&key, server, load);
        let now = self.now();
        let mut inner = self.lock();
        inner.registry.load(now, link, &reported)?;
        self.count(&inner);
        drop(inner);
        self.changed.send_replace(());
        Ok(())
    }

    /// A link has ended.
    pub(super) fn detach(&self, link: LinkId) {
        self.lock().registry.detach(link);
        self.changed.send_replace(());
    }

    /// Tickets that are out for a link's server; `None` where a newer link has replaced this one.
    pub(super) fn reserved(&self, link: LinkId) -> Option<u64> {
        self.lock().registry.reserved(link)
    }

    /// Forgets what is over, and gives up a strategy on trial that may not go on.
    pub(super) fn look(&self) {
        let now = self.now();
        let mut inner = self.lock();
        let mut any = inner.registry.expire(now);
        inner.budgets.sweep(now);
        if let Some(breach) = inner.breach(now) {
            self.metrics.reverts.with_label_values(&[breach.cause]).inc();
            inner.revert(breach);
            self.show_strategy(&inner);
            any = true;
        }
        self.count(&inner);
        drop(inner);
        if any {
            self.changed.send_replace(());
        }
    }

    /// What the status shows.
    pub(super) fn view(&self) -> View {
        let now = self.now();
        self.lock().view(now)
    }

    /// Who came and went lately, as `fastchatd balancer simulate` reads it.
    pub(super) fn trace(&self) -> String {
        // Written outside the lock.
        let recorder = self.lock().recorder.clone();
        let mut trace = String::new();
        for line in recorder.lines() {
            if let Ok(line) = serde_json::to_string(&line) {
                trace.push_str(&line);
                trace.push('\n');
            }
        }
        trace
    }

    /// Wakes whenever something may have changed that [`Self::view`] or [`Self::reserved`] shows.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn show_strategy(&self, inner: &Inner) {
        self.metrics.show_strategy(&inner.balancing.strategy, inner.balancing.generation);
        self.metrics.trial.set(inner.trial.is_some().into());
    }

    /// The counters follow the registry's; the caller holds the lock.
    fn count(&self, inner: &Inner) {
        let totals = inner.registry.totals();
        let Metrics {
            tickets_redeemed,
            tickets_expired,
            ..
        } = &self.metrics;
        tickets_redeemed.inc_by(totals.redeemed.saturating_sub(tickets_redeemed.get()));
        tickets_expired.inc_by(totals.expired.saturating_sub(tickets_expired.get()));
    }

    /// No step of the registry is left half done: where a panic poisoned the lock, its counts are still whole enough to serve.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// ms since the start, for the registry: never goes back.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Inner {
    /// False where that document is in force, or was given up.
    fn has_news(&self, wanted: &Balancing) -> bool {
        let known = self
            .reverted
            .as_ref()
            .map_or(self.balancing.generation, |given_up| given_up.generation);
        wanted.generation != known
    }

    /// Puts a document in force; a strategy that stays the same keeps its state.
    ///
    /// # Errors
    /// What can't be built, and that the present one stays in force.
    fn set_balancing(&mut self, wanted: &Balancing) -> Result<(), String> {
        if self.balancing.strategy != wanted.strategy || self.balancing.parameters != wanted.parameters {
            self.strategy = strategy::build(wanted).map_err(|faults| {
                let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
                format!("{} stays in force: {}", self.balancing.strategy, faults.join("; "))
            })?;
            self.shadows.follow(&wanted.strategy);
        }
        self.registry.set_slow_start(strategy::slow_start_ms(wanted));
        self.balancing = wanted.clone();
        Ok(())
    }

    /// Why the strategy on trial may not go on, if one is and it may not.
    fn breach(&mut self, now: u64) -> Option<Breach> {
        let trial = self.trial.as_mut()?;
        trial.breach(now, self.registry.imbalance())
    }

    /// Back to what stood before the trial.
    fn revert(&mut self, Breach { mut reason, .. }: Breach) {
        let Some(trial) = self.trial.take() else { return };
        let Balancing { strategy, generation, .. } = self.balancing.clone();
        if let Err(fault) = self.set_balancing(trial.former()) {
            reason = format!("{reason}; but {fault}");
        }
        tracing::warn!(
            strategy,
            generation,
            reason,
            back_to = self.balancing.strategy,
            "a strategy on trial is given up"
        );
        self.reverted = Some(Reverted { generation, reason });
    }
}

/// ms since the Unix epoch, for tickets: servers compare it with their own clock.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn reported(key: &FleetKey, server: &str, load: &Load) -> Reported {
    Reported {
        connections: load.connections,
        reserved_elsewhere: load.reserved_elsewhere,
        bytes_out: load.bytes_out,
        draining: load.draining,
        redeemed: numbers(key, server, &load.redeemed),
        moving: load.moving.clone(),
    }
}

/// Numbers of the genuine tickets. One used in its last moment is reported after
/// its time, so that isn't looked at: the reservation has a time of its own.
fn numbers(key: &FleetKey, server: &str, tickets: &[Secret]) -> Vec<u64> {
    tickets
        .iter()
        .filter_map(|ticket| ticket::verify(key, server, ticket, 0))
        .map(|ticket| ticket.number)
        .collect()
}
