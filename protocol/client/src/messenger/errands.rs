//! What the steward has been asked to do, by whom it does not matter.

use super::enter::Attempt;
use fastchat_e2e::{AccountId, ConversationId};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// After so many tries to come into a conversation nobody waits for it.
const ENTER_TRIES_WAITED_FOR: u32 = 8;

/// What waits to be done on the network.
#[derive(Debug, Default)]
pub(super) struct Errands {
    /// Publish what is missing, and look after the own devices.
    pub(super) keep_up: bool,
    /// Read invitations.
    pub(super) join: bool,
    /// Look for conversations that this device is not in.
    pub(super) outside: bool,
    /// Come into these by itself.
    pub(super) enter: BTreeMap<ConversationId, Attempt>,
    /// Tell devices that came in by themselves what these groups are called, not before then.
    pub(super) tell_names: BTreeMap<ConversationId, Instant>,
    /// Make a good commit in these conversations, where nobody was faster, not before then.
    pub(super) mend: BTreeMap<ConversationId, Instant>,
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
        // A conversation that nobody lets this device into keeps nobody waiting.
        let entered = self
            .enter
            .values()
            .all(|attempt| attempt.slow || attempt.tries > ENTER_TRIES_WAITED_FOR);
        !self.join && !self.outside && entered && self.behind.is_empty() && self.verify.is_empty()
    }

    /// Whether something can be begun now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let flags = self.keep_up || self.wishes || self.renew || self.acquaint || !self.new_devices.is_empty();
        let at_once = flags || self.join || self.outside || !self.behind.is_empty() || !self.verify.is_empty();
        at_once || self.times().any(|at| at <= now)
    }

    /// True where there is nothing to be done, now or later.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_due(Instant::now()) && self.times().next().is_none()
    }

    /// When the next one can be begun.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.times().min()
    }

    /// When what has a time can be begun.
    fn times(&self) -> impl Iterator<Item = Instant> {
        let entering = self.enter.values().map(|attempt| attempt.at);
        let others = self.compare.values().chain(self.tell_names.values()).chain(self.mend.values());
        others.copied().chain(entering)
    }

    /// Takes what can be begun now.
    pub(super) fn take(&mut self, now: Instant) -> Self {
        let later = Self {
            compare: self.compare.extract_if(.., |_, at| *at > now).collect(),
            tell_names: self.tell_names.extract_if(.., |_, at| *at > now).collect(),
            mend: self.mend.extract_if(.., |_, at| *at > now).collect(),
            enter: self.enter.extract_if(.., |_, attempt| attempt.at > now).collect(),
            ..Self::default()
        };
        std::mem::replace(self, later)
    }

    /// Puts back what was not done.
    pub(super) fn put_back(&mut self, undone: Self) {
        self.keep_up |= undone.keep_up;
        self.join |= undone.join;
        self.outside |= undone.outside;
        self.wishes |= undone.wishes;
        self.renew |= undone.renew;
        self.acquaint |= undone.acquaint;
        self.new_devices.extend(undone.new_devices);
        self.behind.extend(undone.behind);
        self.verify.extend(undone.verify);
        for (conversation, attempt) in undone.enter {
            self.enter.entry(conversation).or_insert(attempt);
        }
        for (conversation, at) in undone.tell_names {
            self.tell_names.entry(conversation).or_insert(at);
        }
        for (conversation, at) in undone.mend {
            self.mend.entry(conversation).or_insert(at);
        }
        for (conversation, at) in undone.compare {
            self.compare.entry(conversation).or_insert(at);
        }
    }
}
