//! What is left of a budget, for people to see.

use super::{Budgets, Class, NS_PER_MS};
use fastchat_balancing::strategy::ServerIndex;

impl Class {
    /// Both.
    pub(in crate::balancer) const ALL: [Self; 2] = [Self::Resume, Self::SignIn];

    /// As metrics name it.
    pub(in crate::balancer) fn as_str(self) -> &'static str {
        match self {
            Self::Resume => "resume",
            Self::SignIn => "sign-in",
        }
    }
}

impl Budgets {
    /// Clients that may come to that server at once; below 0, so many are told to wait. `None` where there is no limit.
    pub(in crate::balancer) fn left(&self, server: ServerIndex, class: Class, now: u64) -> Option<i64> {
        let cells = self.cells(class)?;
        let now = now.saturating_mul(NS_PER_MS);
        let due = self.due.get(&(server, class)).copied().unwrap_or(0).max(now);
        let ahead = i128::from(now) + i128::from(cells.tolerance) - i128::from(due);
        let clients = ahead.div_euclid(i128::from(cells.interval)) + 1;
        Some(i64::try_from(clients).unwrap_or(if clients < 0 { i64::MIN } else { i64::MAX }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_wire::control::limits::{Rate, ServerLimits};

    #[test]
    fn each_client_takes_one_and_what_is_below_0_waits() {
        let limits = |per_s| ServerLimits {
            resumes: Rate { per_s, burst: 3 },
            ..ServerLimits::default()
        };
        let server = ServerIndex(1);
        let mut budgets = Budgets::new(&limits(100.0), 1);
        let mut left = Vec::new();
        for _ in 0..5 {
            left.push(budgets.left(server, Class::Resume, 0));
            let wait = budgets.book(server, Class::Resume, 0).unwrap();
            assert_eq!(wait > 0, left.last() <= Some(&Some(0)), "who comes while one is left does not wait");
        }
        assert_eq!(left, [3, 2, 1, 0, -1].map(Some));
        assert_eq!(budgets.left(server, Class::Resume, 15), Some(-1));
        assert_eq!(budgets.left(server, Class::Resume, 1_000), Some(3));
        let none = Budgets::new(&limits(0.0), 1);
        assert_eq!(none.left(server, Class::Resume, 0), None);
    }
}
