//! Says while a command works that the fleet asks it to wait: on a terminal in a line that counts down, else in a note.

use crate::terminal::screen::Screen;
use fastchat_client::Waits;
use std::{future::Future, pin::pin, time::Duration};
use tokio::time::sleep;

/// A shorter wait is not worth a word.
const TOLD_MIN: Duration = Duration::from_secs(2);
/// The line counts in steps of this.
const TICK: Duration = Duration::from_secs(1);

/// Does the work, and tells of waits meanwhile.
pub(crate) async fn told<T>(screen: &Screen, waits: &Waits, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut asked = waits.watch();
    let counts_down = screen.is_attended() && !screen.is_json();
    let mut bar = None;
    loop {
        if asked.has_changed().unwrap_or(false) {
            asked.mark_unchanged();
            bar = None;
            match waits.left().filter(|left| *left >= TOLD_MIN) {
                Some(_) if counts_down => bar = Some(screen.progress()),
                Some(left) => screen.note(&format!("the fleet asks to wait {}: this goes on by itself", seconds(left))),
                None => {}
            }
        }
        match (&bar, waits.left()) {
            (Some(bar), Some(left)) => bar.waits_for(format!("the fleet asks to wait: {} left", seconds(left))),
            _ => bar = None,
        }
        tokio::select! {
            biased;
            done = &mut work => return done,
            Ok(()) = asked.changed() => asked.mark_changed(),
            () = sleep(TICK), if bar.is_some() => {}
        }
    }
}

/// A wait as people read it: whole seconds, none too few.
pub(crate) fn seconds(wait: Duration) -> String {
    format!("{} s", wait.as_millis().div_ceil(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_too_short_a_wait() {
        for (ms, text) in [(1, "1 s"), (2_000, "2 s"), (41_001, "42 s")] {
            assert_eq!(seconds(Duration::from_millis(ms)), text);
        }
    }
}
