//! Who is let in, and how much each may take: the spec's limits in force.
//!
//! ```text
//!  accept ──> Admission::enter ──> Entry ──> Meter, one for each connection
//!                    ^                          │ bytes, requests, appends, refusals
//!  spec ── apply ────┘ <── rates by address and account (swept) ──┘
//! ```
//!
//! New limits are in force with the next frame of each connection; a change of
//! them fills all buckets.

mod meter;
mod room;

pub(super) use meter::Meter;
pub(super) use room::Room;

use super::session::SignInOp;
use crate::limits::{AddressKey, Exempt, Limit, Limited, Place, Places, Rates};
use fastchat_wire::{AccountId, ErrorBody, control};
use prometheus::IntCounterVec;
use std::{
    net::IpAddr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::interval;

/// Buckets that are full again are forgotten so often.
const SWEEP: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Admission {
    in_force: RwLock<Arc<Rules>>,
    /// Of the rules in force: what each frame looks at.
    version: AtomicU64,
    connections: Places<AddressKey>,
    signing_in: Places<AddressKey>,
    signing_in_of_all: Places<()>,
    /// For blocks that are not complete or not committed.
    pub(super) blocks: Room,
    limited: IntCounterVec,
}

/// Limits in force, and what was taken of them.
#[derive(Debug)]
struct Rules {
    version: u64,
    limits: control::Limits,
    exempt: Exempt,
    sign_ins: Rates<AddressKey>,
    registrations: Rates<AddressKey>,
    resumes: Rates<AddressKey>,
    requests: Rates<AccountId>,
    appends: Rates<AccountId>,
    bytes: Rates<AccountId>,
}

/// A connection's place here.
#[derive(Debug)]
pub(super) struct Entry {
    /// `None` where the address is exempt.
    address: Option<AddressKey>,
    _connection: Option<Place<AddressKey>>,
    /// Until it has signed in.
    signing_in: Option<(Option<Place<AddressKey>>, Place<()>)>,
}

impl Rules {
    fn new(version: u64, limits: control::Limits) -> Self {
        Self {
            version,
            exempt: Exempt::new(&limits.exempt),
            sign_ins: Rates::new(limits.address.sign_ins),
            registrations: Rates::new(limits.address.registrations),
            resumes: Rates::new(limits.address.resumes),
            requests: Rates::new(limits.account.requests),
            appends: Rates::new(limits.account.appends),
            bytes: Rates::new(limits.account.bytes),
            limits,
        }
    }

    fn sweep(&self) {
        for rates in [&self.sign_ins, &self.registrations, &self.resumes] {
            rates.sweep();
        }
        for rates in [&self.requests, &self.appends, &self.bytes] {
            rates.sweep();
        }
    }

    /// A sign-in from an address that isn't exempt.
    fn sign_in(&self, op: SignInOp, address: AddressKey) -> Result<(), Limited> {
        let (rates, limit) = match op {
            SignInOp::Login => (&self.sign_ins, Limit::AddressSignIns),
            SignInOp::Register => (&self.registrations, Limit::AddressRegistrations),
            SignInOp::Resume => (&self.resumes, Limit::AddressResumes),
        };
        rates.take(address, 1).map_err(|wait| Limited::rate(limit, wait))
    }
}

impl Admission {
    /// With these limits in force; `limited` counts who meets them.
    pub(super) fn new(limits: control::Limits, limited: IntCounterVec) -> Self {
        Self {
            blocks: Room::of_bytes(limits.server.blocks_bytes),
            in_force: RwLock::new(Arc::new(Rules::new(0, limits))),
            version: AtomicU64::new(0),
            connections: Places::default(),
            signing_in: Places::default(),
            signing_in_of_all: Places::default(),
            limited,
        }
    }

    /// Puts other limits in force.
    pub(super) fn apply(&self, limits: &control::Limits) {
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        if in_force.limits == *limits {
            return;
        }
        let version = in_force.version + 1;
        *in_force = Arc::new(Rules::new(version, limits.clone()));
        self.version.store(version, Ordering::Release);
        drop(in_force);
        self.blocks.resize(limits.server.blocks_bytes);
        tracing::info!(version, "other limits of clients are in force");
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets a connection in.
    ///
    /// # Errors
    /// What to answer: there are too many.
    pub(super) fn enter(&self, address: IpAddr) -> Result<Entry, ErrorBody> {
        let rules = self.rules();
        let (of_address, of_all) = (&rules.limits.address, &rules.limits.server);
        let key = rules.exempt.key(address);
        let take = |places: &Places<AddressKey>, most, limit| match key {
            Some(key) => places.take(key, most).map(Some).ok_or_else(|| self.refusal(Limited::place(limit))),
            None => Ok(None),
        };
        let connection = take(&self.connections, of_address.connections, Limit::AddressConnections)?;
        let signing_in = take(&self.signing_in, of_address.signing_in, Limit::AddressSigningIn)?;
        let Some(of_all) = self.signing_in_of_all.take((), of_all.signing_in) else {
            return Err(self.refusal(Limited::place(Limit::ServerSigningIn)));
        };
        Ok(Entry {
            address: key,
            _connection: connection,
            signing_in: Some((signing_in, of_all)),
        })
    }

    /// Connections that an account may have here; 0 is no limit.
    pub(super) fn account_connections_max(&self) -> u32 {
        self.rules().limits.account.connections
    }

    /// Counts it; what to answer.
    pub(super) fn refusal(&self, limited: Limited) -> ErrorBody {
        limited.error(&self.limited)
    }

    /// Counts what is met without an answer.
    pub(super) fn count(&self, limit: Limit) {
        self.limited.with_label_values(&[limit.as_str()]).inc();
    }

    /// Forgets buckets that are full again, until it is dropped.
    pub(super) async fn sweep(&self) {
        let mut ticks = interval(SWEEP);
        loop {
            ticks.tick().await;
            self.rules().sweep();
            self.blocks.settle();
        }
    }
}
