//! What is wrong in a control document.

/// Something in a document that can't be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Fault {
    /// JSON pointer into the document: `/strategy`, `/parameters/half_life_s`.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub detail: String,
}
