//! What people and programs see.

pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod presence;
pub(crate) mod progress;
pub(crate) mod prompt;
pub(crate) mod qr;
pub(crate) mod safe;
mod said;
pub(crate) mod screen;
pub(crate) mod shown;
