//! The way of a file, of a restore, of many people into a group, as a bar on stderr; nothing where stderr is no terminal.

use super::human;
use fastchat_client::messenger::{Restoring, Step};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::time::Duration;

const BAR: &str = "{msg} [{wide_bar}] {decimal_bytes} of {decimal_total_bytes}, {eta} left";
const RESTORE: &str = "{msg} [{wide_bar}] batch {pos} of {len}, {eta} left";
const PEOPLE: &str = "{msg} [{wide_bar}] {pos} of {len}";
const SPINNER: &str = "{spinner} {msg}";
const TICK: Duration = Duration::from_millis(120);

/// A bar; gone when dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

/// Which way a file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the server.
    Out,
    /// From the server.
    In,
}

impl Progress {
    /// A bar among `bars`. Where they are not drawn, no timer runs either.
    pub(super) fn new(bars: &MultiProgress) -> Self {
        let bar = bars.add(ProgressBar::no_length());
        if !bars.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self { bar }
    }

    /// What a messenger calls at each step of the file called `name`.
    pub(crate) fn of(&self, name: &str, way: Way) -> impl Fn(Step) + Send + Sync + 'static {
        let bar = self.bar.clone();
        let name = human::brief(name);
        let (moving, spinning) = (style(BAR), style(SPINNER));
        move |step| {
            let doing = match (step, way) {
                (Step::Sealing, _) => "sealing",
                (Step::Moving { .. }, Way::Out) => "sending",
                (Step::Moving { .. }, Way::In) => "receiving",
                (Step::Opening, _) => "opening",
            };
            let message = format!("{doing} {name}");
            if bar.message() != message {
                let moves = matches!(step, Step::Moving { .. });
                bar.set_style(if moves { moving.clone() } else { spinning.clone() });
                bar.set_message(message);
            }
            if let Step::Moving { done, total } = step {
                bar.set_length(total);
                bar.set_position(done);
            }
        }
    }
}

impl Progress {
    /// What is called at each step of a restore.
    pub(crate) fn of_restore(&self) -> impl Fn(Restoring) + 'static {
        let bar = self.bar.clone();
        bar.set_style(style(RESTORE));
        move |step| {
            bar.set_message(format!("restoring, {} messages", step.messages));
            bar.set_length(step.total);
            bar.set_position(step.done);
        }
    }
}

impl Progress {
    /// What is called with how many of so many people were looked up.
    pub(crate) fn of_people(&self, count: usize) -> impl Fn(usize) + 'static {
        let bar = self.bar.clone();
        bar.set_style(style(PEOPLE));
        bar.set_message("looking up names");
        bar.set_length(count as u64);
        move |done| bar.set_position(done as u64)
    }

    /// From now on something is waited for whose length is not known.
    pub(crate) fn waits_for(&self, what: String) {
        self.bar.set_style(style(SPINNER));
        self.bar.set_message(what);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A template's style; the default where the template is none, which a test rules out.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::ProgressDrawTarget;

    #[test]
    fn the_templates_are_templates() {
        for template in [BAR, RESTORE, PEOPLE, SPINNER] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn a_bar_follows_its_file() {
        let progress = Progress::new(&MultiProgress::with_draw_target(ProgressDrawTarget::hidden()));
        let step = progress.of("a\u{1b}b", Way::In);
        step(Step::Moving { done: 3, total: 9 });
        assert_eq!((progress.bar.position(), progress.bar.length()), (3, Some(9)));
        assert_eq!(progress.bar.message(), "receiving a\u{fffd}b");
        step(Step::Opening);
        assert_eq!(progress.bar.message(), "opening a\u{fffd}b");
    }

    #[test]
    fn a_bar_follows_the_people_that_are_looked_up() {
        let progress = Progress::new(&MultiProgress::with_draw_target(ProgressDrawTarget::hidden()));
        progress.of_people(1_000)(64);
        assert_eq!((progress.bar.position(), progress.bar.length()), (64, Some(1_000)));
        progress.waits_for("inviting".to_owned());
        assert_eq!(progress.bar.message(), "inviting");
    }
}
