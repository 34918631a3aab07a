//! Places at which a test makes the program die, as a power cut would.

use std::sync::LazyLock;

/// Names the place at which to die.
const VARIABLE: &str = "FASTCHAT_FAULT";

static WANTED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(VARIABLE).ok());

/// Dies here, without cleaning up, where `FASTCHAT_FAULT` names this place.
pub(crate) fn point(name: &str) {
    if WANTED.as_deref() == Some(name) {
        tracing::error!(name, "{VARIABLE} asks to die here");
        std::process::abort();
    }
}
