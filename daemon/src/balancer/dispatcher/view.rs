//! What the status and the gauges show of a balancer at one moment.

use super::{Applied, Inner};
use crate::balancer::{budget::Class, metrics::BudgetLeft};
use fastchat_wire::control::{BalancerServer, Reverted};
use std::collections::BTreeMap;

/// What the status shows.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::balancer) struct View {
    pub(in crate::balancer) applied: Applied,
    pub(in crate::balancer) balancing_generation: u64,
    pub(in crate::balancer) reverted: Option<Reverted>,
    pub(in crate::balancer) servers: Vec<BalancerServer>,
    /// Those of them that get no clients, as nobody arrives there.
    pub(in crate::balancer) ejected: Vec<String>,
    /// How long the trial has left (ms); `None` without one, or without a deadline.
    pub(in crate::balancer) trial_left_ms: Option<u64>,
    /// What is left of each server's budgets.
    pub(in crate::balancer) budgets: Vec<BudgetLeft>,
    /// How uneven the servers are under the strategy in force, and would be under each of the others.
    pub(in crate::balancer) imbalance: BTreeMap<String, f64>,
}

impl Inner {
    /// As it is at `now`; shadows and recorder take over who came and went.
    pub(super) fn view(&mut self, now: u64) -> View {
        let Self {
            registry,
            shadows,
            recorder,
            standings,
            balancing,
            budgets,
            ..
        } = self;
        standings.clear();
        standings.extend(registry.standings());
        shadows.see(standings);
        recorder.see(now, standings, |index| registry.name(index).to_owned());
        let others = shadows.imbalances().into_iter();
        let mut imbalance: BTreeMap<_, _> = others.map(|(name, imbalance)| (name.to_owned(), imbalance)).collect();
        imbalance.insert(balancing.strategy.clone(), registry.imbalance());
        for value in imbalance.values_mut() {
            // In thousandths: a status that hardly changes isn't sent again.
            *value = (*value * 1e3).round() / 1e3;
        }
        let left = standings.iter().flat_map(|standing| {
            let (server, budgets) = (registry.name(standing.index), &*budgets);
            Class::ALL.into_iter().filter_map(move |class| {
                Some(BudgetLeft {
                    server: server.to_owned(),
                    class: class.as_str(),
                    clients: budgets.left(standing.index, class, now)?,
                })
            })
        });
        View {
            budgets: left.collect(),
            trial_left_ms: self.trial.as_ref().and_then(|trial| trial.left_ms(now)),
            applied: self.applied.clone(),
            balancing_generation: self.balancing.generation,
            reverted: self.reverted.clone(),
            servers: self.registry.attached(),
            ejected: self.registry.ejected(),
            imbalance,
        }
    }
}
