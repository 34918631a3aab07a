//! A fault that lasts is logged when it begins, when it changes and when it is over; not each time.

/// Whether something works, as the log knows it.
#[derive(Debug)]
pub(super) struct Trouble {
    what: &'static str,
    last: Option<String>,
}

impl Trouble {
    /// Nothing is wrong yet with `what`.
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, last: None }
    }

    /// It failed, for this reason.
    pub(super) fn begins(&mut self, reason: String) {
        if self.last.as_ref() != Some(&reason) {
            tracing::warn!(reason, "{} fails; trying on", self.what);
            self.last = Some(reason);
        }
    }

    /// It works.
    pub(super) fn ends(&mut self) {
        if self.last.take().is_some() {
            tracing::info!("{} works again", self.what);
        }
    }
}
