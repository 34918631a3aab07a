//! What one connection takes, and whether it may.

use super::{Admission, Entry, Rules};
use crate::{
    limits::{Limit, Limited, Rate},
    server::{
        handlers::Refusal,
        session::{Admitted, OpenOp, SignInOp},
    },
};
use fastchat_wire::{AccountId, Op};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::sleep;

/// One connection's.
pub(crate) struct Meter {
    admission: Arc<Admission>,
    entry: Entry,
    rules: Arc<Rules>,
    requests: Rate,
    bytes: Rate,
    refusals: Rate,
}

impl Meter {
    /// Of a connection that was let in.
    pub(crate) fn new(admission: Arc<Admission>, entry: Entry) -> Self {
        let rules = admission.rules();
        let of_connection = rules.limits.connection;
        Self {
            admission,
            entry,
            rules,
            requests: Rate::new(of_connection.requests),
            bytes: Rate::new(of_connection.bytes),
            refusals: Rate::new(of_connection.refusals),
        }
    }

    /// Follows a change of the limits.
    fn follow(&mut self) {
        if self.admission.version.load(Ordering::Acquire) != self.rules.version {
            self.rules = self.admission.rules();
            let of_connection = self.rules.limits.connection;
            self.requests = Rate::new(of_connection.requests);
            self.bytes = Rate::new(of_connection.bytes);
            self.refusals = Rate::new(of_connection.refusals);
        }
    }

    /// It has signed in: one place is free for somebody who has not.
    pub(crate) fn signed_in(&mut self) {
        self.entry.signing_in = None;
    }

    /// Takes a frame's bytes; waits where there are too many, and so nothing more is read.
    pub(crate) async fn frame(&mut self, bytes: usize, account: Option<AccountId>) {
        self.follow();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let mut wait = self.bytes.take(bytes);
        self.slow_down(Limit::ConnectionBytes, &wait);
        while let Err(for_so_long) = wait {
            sleep(for_so_long).await;
            wait = self.bytes.take(bytes);
        }
        let Some(account) = account else { return };
        let mut wait = self.rules.bytes.take(account, bytes);
        self.slow_down(Limit::AccountBytes, &wait);
        while let Err(for_so_long) = wait {
            sleep(for_so_long).await;
            wait = self.rules.bytes.take(account, bytes);
        }
    }

    fn slow_down(&self, limit: Limit, wait: &Result<(), Duration>) {
        if wait.is_err() {
            self.admission.count(limit);
        }
    }

    /// Takes a request.
    ///
    /// # Errors
    /// `rate-limited`.
    pub(crate) fn request(&mut self, admitted: &Admitted) -> Result<(), Refusal> {
        self.follow();
        self.check(admitted).map_err(|limited| self.admission.refusal(limited).into())
    }

    fn check(&self, admitted: &Admitted) -> Result<(), Limited> {
        let over = |limit| move |wait| Limited::rate(limit, wait);
        self.requests.take(1).map_err(over(Limit::ConnectionRequests))?;
        let rules = &self.rules;
        match (admitted, self.entry.address) {
            (Admitted::SignIn(op), Some(address)) => rules.sign_in(*op, address),
            (Admitted::Open(OpenOp::AuthParams), Some(address)) => rules.sign_in(SignInOp::Resume, address),
            (Admitted::Serve(op, identity), _) => {
                rules.requests.take(identity.account, 1).map_err(over(Limit::AccountRequests))?;
                if *op == Op::Append {
                    rules.appends.take(identity.account, 1).map_err(over(Limit::AccountAppends))?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Counts a refusal for a rate; true where there were so many that the connection is to be closed.
    pub(crate) fn is_abused(&self) -> bool {
        let abused = self.refusals.take(1).is_err();
        if abused {
            self.admission.count(Limit::ConnectionRefusals);
        }
        abused
    }
}
