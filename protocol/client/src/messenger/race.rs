//! Commits that race: whoever loses lets the others go first.
//!
//! The log takes one commit of each epoch, so that of many at once exactly one wins, whatever the others do: a crowd
//! shrinks by one with each round. Pauses at random, doubled with each loss, make the rounds few. A loser does not wait
//! for others to be done: where all did, nobody would go.

use rand::{Rng, RngExt};
use std::time::Duration;

/// After the first lost race: a pause at random up to so long, doubled with each further one.
const FIRST_MS: u64 = 40;
/// Its longest, as a power of two.
const DOUBLINGS_MAX: u32 = 6;

/// How long to wait after so many lost races.
pub(crate) fn pause(lost: u32, rng: &mut impl Rng) -> Duration {
    Duration::from_millis(rng.random_range(0..longest_ms(lost)))
}

fn longest_ms(lost: u32) -> u64 {
    FIRST_MS << lost.min(DOUBLINGS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let mut rng = StdRng::seed_from_u64(1);
        assert!((1..=DOUBLINGS_MAX).all(|lost| longest_ms(lost) == 2 * longest_ms(lost - 1)));
        for lost in 0..40 {
            assert!(pause(lost, &mut rng) <= Duration::from_millis(FIRST_MS << DOUBLINGS_MAX));
        }
    }

    /// All begin at once; a commit takes so long to the log and back. Gives when the last one stands, and the most tries.
    fn crowd(members: usize, way_ms: u64, seed: u64) -> (u64, u32) {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut epoch, mut most, mut now) = (0_u64, 0, 0);
        // When each one's commit reaches the log, the epoch that it was made in, and its lost races.
        let mut racing: Vec<(u64, u64, u32)> = (0..members).map(|_| (rng.random_range(0..way_ms), 0, 0)).collect();
        while let Some(next) = (0..racing.len()).min_by_key(|at| racing[*at].0) {
            let (at, made_in, lost) = racing.swap_remove(next);
            now = at;
            if made_in == epoch {
                epoch += 1;
                most = most.max(lost + 1);
                continue;
            }
            let again = at + way_ms + u64::try_from(pause(lost + 1, &mut rng).as_millis()).unwrap();
            // What it is made from is what the log has by then, as far as it knows.
            let overtaken = racing
                .iter()
                .filter(|(theirs, made_in, _)| *theirs < again && *made_in == epoch)
                .count();
            racing.push((again + way_ms, epoch + u64::from(overtaken > 0), lost + 1));
        }
        (now, most)
    }

    #[test]
    fn twenty_who_commit_at_once_are_all_done_within_seconds() {
        for seed in 0..200 {
            let (ms, tries) = crowd(20, 25, seed);
            assert!(ms < 20_000 && tries <= 16, "seed {seed}: {ms} ms, {tries} tries of one");
        }
    }
}
