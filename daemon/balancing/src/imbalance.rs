//! Imbalance: one number for how uneven servers are, the same wherever it is
//! shown, foreseen or guarded.
//!
//! Each server's *part* is what it would have if the clients were shared by
//! weight. The imbalance is how much more than its part, rounded up to whole
//! clients, the server has that exceeds it most: 0 where none exceeds it, 0.25
//! where the fullest carries a quarter too much.
//!
//! Why this and not the difference of fullest and emptiest: it is the fullest
//! server that gets slow, so what counts is its excess; divided by its part, the
//! number means the same with ten clients a server and with ten thousand, and
//! with weights; rounded up, three servers with one client are even, as nobody
//! could share it better. A server that has too little (a new one) costs only
//! what the others carry for it.

/// The imbalance of servers, each with its clients and its weight (above 0).
/// At least 0; 0 where there are no servers or no clients.
pub fn imbalance(servers: impl Iterator<Item = (u64, f64)> + Clone) -> f64 {
    let (clients, weights) = servers.clone().fold((0.0, 0.0), |(clients, weights), (count, weight)| {
        (clients + count as f64, weights + weight)
    });
    servers
        .map(|(count, weight)| {
            let part = clients * weight / weights;
            // Rounding must not make a part that is whole the next whole number.
            (count as f64 - (part - 1e-9 * part).ceil()) / part
        })
        .filter(|excess| excess.is_finite())
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(servers: &[(u64, f64)]) -> f64 {
        imbalance(servers.iter().copied())
    }

    #[test]
    fn what_nobody_could_share_better_is_even() {
        assert_eq!(of(&[]), 0.0);
        assert_eq!(of(&[(0, 1.0), (0, 1.0)]), 0.0);
        assert_eq!(of(&[(7, 1.0)]), 0.0);
        assert_eq!(of(&[(1, 1.0), (0, 1.0), (0, 1.0)]), 0.0);
        assert_eq!(of(&[(4, 1.0), (3, 1.0), (3, 1.0)]), 0.0);
        assert_eq!(of(&[(20, 2.0), (10, 1.0)]), 0.0);
    }

    #[test]
    fn it_is_the_excess_of_the_fullest_over_its_part() {
        assert_eq!(of(&[(125, 1.0), (75, 1.0)]), 0.25);
        assert_eq!(of(&[(30, 1.0), (0, 1.0), (0, 1.0)]), 2.0);
        assert_eq!(of(&[(15, 2.0), (15, 1.0)]), 0.5);
    }

    proptest! {
        #[test]
        fn ten_times_the_clients_are_as_uneven_but_for_rounding(counts in proptest::collection::vec((0..1000u64, 1..9u32), 1..9)) {
            let servers: Vec<_> = counts.iter().map(|(count, weight)| (*count, f64::from(*weight))).collect();
            let more: Vec<_> = servers.iter().map(|(count, weight)| (count * 1_000, *weight)).collect();
            let (one, thousand) = (of(&servers), of(&more));
            prop_assert!(one >= 0.0 && one <= thousand + 1e-6, "{one} {thousand}");
            // Rounding hides less than one client of the fullest server's part.
            let total: u64 = counts.iter().map(|(count, _)| count).sum();
            let weights: u32 = counts.iter().map(|(_, weight)| weight).sum();
            let least = total as f64 / f64::from(weights);
            prop_assert!(total == 0 || thousand - one <= 1.0 / least + 1e-6, "{one} {thousand}");
        }
    }
}
