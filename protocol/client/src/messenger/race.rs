//! Commits that race: whoever loses lets the others go first.

use std::time::Duration;

/// After the first lost race: a pause at random up to so long, doubled with each further one.
const FIRST_MS: u64 = 40;
/// Its longest, as a power of two.
const DOUBLINGS_MAX: u32 = 6;

/// How long to wait after so many lost races.
pub(super) fn pause(lost: u32) -> Duration {
    Duration::from_millis(rand::random_range(0..longest_ms(lost)))
}

fn longest_ms(lost: u32) -> u64 {
    FIRST_MS << lost.min(DOUBLINGS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        assert!((1..=DOUBLINGS_MAX).all(|lost| longest_ms(lost) == 2 * longest_ms(lost - 1)));
        for lost in 0..40 {
            assert!(pause(lost) <= Duration::from_millis(FIRST_MS << DOUBLINGS_MAX));
        }
    }
}
