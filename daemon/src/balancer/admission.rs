//! Which clients are let in, and how much each address may ask for.

use super::metrics::Metrics;
use crate::limits::{AddressKey, Exempt, Limit, Limited, Place, Places, Rate, Rates};
use fastchat_wire::{ErrorBody, control};
use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

/// Buckets that are full again are forgotten so often.
const SWEEP: Duration = Duration::from_secs(5);

/// The spec's limits in force; a change of them fills all buckets.
#[derive(Debug)]
pub(super) struct Admission {
    in_force: RwLock<Arc<Rules>>,
    connections: Places<AddressKey>,
}

#[derive(Debug)]
struct Rules {
    limits: control::Limits,
    exempt: Exempt,
    assigns: Rates<AddressKey>,
    sign_ins: Rates<AddressKey>,
}

/// One connection, as its limits see it.
#[derive(Debug)]
pub(super) struct Visit {
    admission: Arc<Admission>,
    /// `None` where the address is exempt.
    address: Option<AddressKey>,
    _place: Option<Place<AddressKey>>,
    refusals: Rate,
}

/// Whose a ticket is, and how many it may have at a time; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) address: AddressKey,
    pub(super) tickets_max: u32,
}

impl Admission {
    /// With these limits in force.
    pub(super) fn new(limits: &control::Limits) -> Self {
        Self {
            in_force: RwLock::new(Arc::new(Rules::new(limits))),
            connections: Places::default(),
        }
    }

    /// Puts other limits in force.
    pub(super) fn apply(&self, limits: &control::Limits) {
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        if in_force.limits != *limits {
            *in_force = Arc::new(Rules::new(limits));
            tracing::info!("other limits of clients are in force");
        }
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets a client in.
    ///
    /// # Errors
    /// What to answer: its address has too many connections.
    pub(super) fn enter(self: Arc<Self>, address: IpAddr, metrics: &Metrics) -> Result<Visit, ErrorBody> {
        let rules = self.rules();
        let address = rules.exempt.key(address);
        let place = match address {
            Some(address) => match self.connections.take(address, rules.limits.address.signing_in) {
                Some(place) => Some(place),
                None => return Err(Limited::place(Limit::AddressSigningIn).error(&metrics.limited)),
            },
            None => None,
        };
        Ok(Visit {
            admission: self,
            address,
            _place: place,
            refusals: Rate::new(rules.limits.connection.refusals),
        })
    }

    /// Forgets buckets that are full again, until `shutdown`.
    pub(super) async fn sweep(&self, shutdown: &CancellationToken) {
        let sweeping = async {
            let mut ticks = interval(SWEEP);
            loop {
                ticks.tick().await;
                let rules = self.rules();
                rules.assigns.sweep();
                rules.sign_ins.sweep();
            }
        };
        shutdown.run_until_cancelled(sweeping).await;
    }
}

impl Rules {
    fn new(limits: &control::Limits) -> Self {
        Self {
            exempt: Exempt::new(&limits.exempt),
            assigns: Rates::new(limits.address.assigns),
            sign_ins: Rates::new(limits.address.sign_ins),
            limits: limits.clone(),
        }
    }
}

impl Visit {
    /// One `assign`: who holds its ticket; `None` where the address is exempt. One without `resume` is
    /// to become a sign-in: no address takes up more of what servers can sign in than it may use there.
    ///
    /// # Errors
    /// What to answer: its address asks too often.
    pub(super) fn assign(&self, resume: bool, metrics: &Metrics) -> Result<Option<Holder>, ErrorBody> {
        let Some(address) = self.address else { return Ok(None) };
        let rules = self.admission.rules();
        let refused = |limit, wait| Limited::rate(limit, wait).error(&metrics.limited);
        rules
            .assigns
            .take(address, 1)
            .map_err(|wait| refused(Limit::AddressAssigns, wait))?;
        if !resume {
            rules
                .sign_ins
                .take(address, 1)
                .map_err(|wait| refused(Limit::AddressSignIns, wait))?;
        }
        Ok(Some(Holder {
            address,
            tickets_max: rules.limits.address.tickets,
        }))
    }

    /// Counts a refusal for a rate; true where there were so many that the connection is to be closed.
    pub(super) fn is_abused(&self, metrics: &Metrics) -> bool {
        let abused = self.refusals.take(1).is_err();
        if abused {
            let limit = Limit::ConnectionRefusals;
            metrics.limited.with_label_values(&[limit.as_str()]).inc();
        }
        abused
    }
}
