//! Outcomes as a table, for terminals.

use super::Outcome;
use std::fmt::Write;

/// A line of what it shows, a head, and a line for each outcome; none ends with a newline.
#[must_use]
pub fn table(outcomes: &[Outcome]) -> String {
    let mut table = format!(
        "imbalance: what the fullest server has over its part\n{:<14} {:>9} {:>9} {:>9} {:>10} {:>9}",
        "strategy", "mean", "p99", "max", "arrivals", "refused"
    );
    for outcome in outcomes {
        let [mean, p99, max] = [outcome.mean, outcome.p99, outcome.max].map(|imbalance| format!("{:.1} %", 100.0 * imbalance + 0.0));
        let Outcome {
            strategy,
            arrivals,
            refused,
            ..
        } = outcome;
        // Writing to a String can't fail.
        let _ = write!(table, "\n{strategy:<14} {mean:>9} {p99:>9} {max:>9} {arrivals:>10} {refused:>9}");
    }
    table
}
