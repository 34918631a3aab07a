//! `If-Match`: what a write demands of the document that it replaces.

use crate::problem::Problem;
use axum::http::{HeaderMap, header};

/// The ETag of a document's generation.
pub(super) fn etag(generation: u64) -> String {
    format!("\"{generation}\"")
}

/// What a write demands of the document that it replaces.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum IfMatch {
    /// `*`
    Any,
    /// Strong ETags; weak ones never match.
    Tags(Vec<String>),
}

impl IfMatch {
    /// Of a write to `path`.
    ///
    /// # Errors
    /// 428 without one, 400 where it can't be read.
    pub(super) fn read(headers: &HeaderMap, path: &str) -> Result<Self, Problem> {
        let mut values = headers.get_all(header::IF_MATCH).iter().peekable();
        if values.peek().is_none() {
            return Err(Problem::precondition_required(format!(
                "send If-Match with the ETag of GET {path}, or * to replace whatever is there"
            )));
        }
        let mut tags = Vec::new();
        for value in values {
            let text = value
                .to_str()
                .map_err(|_| Problem::bad_request("If-Match is an ETag such as \"3\", or *"))?;
            tags.extend(text.split(',').map(|tag| tag.trim().to_owned()));
        }
        Ok(if tags == ["*"] { Self::Any } else { Self::Tags(tags) })
    }

    /// Does the document's generation fit?
    ///
    /// # Errors
    /// 412.
    pub(super) fn check(&self, generation: u64, path: &str) -> Result<(), Problem> {
        match self {
            Self::Any => Ok(()),
            Self::Tags(tags) if tags.contains(&etag(generation)) => Ok(()),
            Self::Tags(_) => Err(Problem::stale(format!(
                "the document is at ETag {}; read it again (GET {path}) and decide anew",
                etag(generation)
            ))),
        }
    }
}
