//! What the steward has been asked to do, by whom it does not matter.

use fastchat_e2e::{AccountId, ConversationId};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// What waits to be done on the network.
#[derive(Debug, Default)]
pub(super) struct Errands {
    /// Publish what is missing, and look after the own devices.
    pub(super) keep_up: bool,
    /// Read invitations.
    pub(super) join: bool,
    /// Fetch these conversations' missing entries.
    pub(super) behind: BTreeSet<ConversationId>,
    /// Ask whether this account is still in.
    pub(super) verify: BTreeSet<ConversationId>,
    /// Compare these groups' leaves with the server's lists, not before then.
    pub(super) compare: BTreeMap<ConversationId, Instant>,
    /// Compare those who were met in groups with what the fleet says of them.
    pub(super) acquaint: bool,
    /// These accounts have a new device: find where they are met, and compare there.
    pub(super) new_devices: BTreeSet<AccountId>,
    /// Look at the wishes.
    pub(super) wishes: bool,
    /// Look whether keys are to be renewed.
    pub(super) renew: bool,
}

impl Errands {
    /// Nothing that a reader of the history would have to wait for.
    pub(super) fn is_caught_up(&self) -> bool {
        !self.join && self.behind.is_empty() && self.verify.is_empty()
    }

    /// Whether something can be begun now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let flags = self.keep_up || self.wishes || self.renew || self.acquaint || !self.new_devices.is_empty();
        flags || !self.is_caught_up() || self.compare.values().any(|at| *at <= now)
    }

    /// True where there is nothing to be done, now or later.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_due(Instant::now()) && self.compare.is_empty()
    }

    /// When the next one can be begun.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.compare.values().min().copied()
    }

    /// Takes what can be begun now.
    pub(super) fn take(&mut self, now: Instant) -> Self {
        let later = self.compare.extract_if(.., |_, at| *at > now).collect();
        let due = std::mem::take(self);
        self.compare = later;
        due
    }

    /// Puts back what was not done.
    pub(super) fn put_back(&mut self, undone: Self) {
        self.keep_up |= undone.keep_up;
        self.join |= undone.join;
        self.wishes |= undone.wishes;
        self.renew |= undone.renew;
        self.acquaint |= undone.acquaint;
        self.new_devices.extend(undone.new_devices);
        self.behind.extend(undone.behind);
        self.verify.extend(undone.verify);
        for (conversation, at) in undone.compare {
            self.compare.entry(conversation).or_insert(at);
        }
    }
}
