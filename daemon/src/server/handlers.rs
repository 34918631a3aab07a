//! One handler for each verb: arguments in, an answer or a refusal out.
//!
//! A handler never touches a socket. It gets a [`Call`] and the server's
//! [`Context`], and returns encoded frames; the connection sends them.

pub(crate) mod append;
pub(crate) mod auth_params;
pub(crate) mod blob_create;
pub(crate) mod blob_get;
pub(crate) mod blob_put;
mod bounds;
pub(crate) mod change_password;
pub(crate) mod commit;
pub(crate) mod conversations;
pub(crate) mod create;
mod device_news;
pub(crate) mod fetch;
pub(crate) mod grant;
pub(crate) mod group_info;
pub(crate) mod hello;
pub(crate) mod keys_claim;
pub(crate) mod keys_count;
pub(crate) mod keys_publish;
pub(crate) mod leave;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod lookup;
pub(crate) mod mark;
pub(crate) mod members;
pub(crate) mod ping;
pub(crate) mod register;
pub(crate) mod remove_device;
pub(crate) mod rename_device;
pub(crate) mod resume;
pub(crate) mod set_credential;
pub(crate) mod signal;
#[cfg(test)]
mod tests;
pub(crate) mod trim;

use crate::store::{Denied, StoreError};
use bytes::Bytes;
use fastchat_schema::DatabaseError;
use fastchat_wire::{Block, Code, ErrorBody, Frame, Request, encode_event, encode_failure, encode_response, limits::PAGE_MAX};
use serde::Serialize;

/// A request that the session allows.
#[derive(Debug)]
pub(crate) struct Call {
    /// The request's id.
    pub(crate) id: u64,
    /// The frame, whose header is not yet parsed as the verb's.
    pub(crate) frame: Frame,
}

/// Encoded frames that answer a call, the response last.
pub(crate) type Answer = Vec<Bytes>;

/// What a handler comes to.
pub(crate) type Handled = Result<Answer, Refusal>;

/// A failed response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The `error` object.
    pub(crate) error: ErrorBody,
    /// The current epoch, beside an `epoch-conflict`.
    pub(crate) epoch: Option<u64>,
}

impl Refusal {
    /// A refusal with a code and a text for people.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        ErrorBody::new(code, message).into()
    }

    /// Arguments that are wrong.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    /// A fault of ours: logged whole under a random reference, which is all that the client sees.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let reference = uuid::Uuid::new_v4();
        tracing::error!(%reference, error = %Chain(error), "internal error");
        Self::new(
            Code::Internal,
            format!("an error inside the server; its log has it under {reference}"),
        )
    }

    /// The store of the blobs' bytes failed: ours, and worth another try, unless
    /// it has lost what it should hold.
    pub(crate) fn objects(error: &object_store::Error) -> Self {
        if let object_store::Error::NotFound { .. } = error {
            return Self::internal(error);
        }
        tracing::warn!(error = %Chain(error), "the store of blobs is unavailable");
        ErrorBody::retry_after(Code::Unavailable, "the store of blobs is unavailable: send the same again", 1_000).into()
    }

    /// The failed response's frame.
    pub(crate) fn encode(&self, re: Option<u64>) -> Bytes {
        #[derive(Serialize)]
        struct Extra {
            #[serde(skip_serializing_if = "Option::is_none")]
            epoch: Option<u64>,
        }
        // Our own messages are short; a text that isn't can only be shortened.
        encode_failure(re, &self.error, &Extra { epoch: self.epoch })
            .or_else(|_| {
                encode_failure(
                    re,
                    &ErrorBody::new(self.error.code, "the message does not fit"),
                    &Extra { epoch: None },
                )
            })
            .unwrap_or_default()
    }
}

/// An error with its sources, for a log line.
struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl From<ErrorBody> for Refusal {
    fn from(error: ErrorBody) -> Self {
        Self { error, epoch: None }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let epoch = if let Denied::EpochConflict { current } = denied {
            Some(current)
        } else {
            None
        };
        Self {
            error: denied.body(),
            epoch,
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Denied(denied) => denied.into(),
            StoreError::Unavailable(ref source) => {
                // While it is known to be away, one line for each request would say nothing more.
                if !matches!(source.downcast_ref(), Some(DatabaseError::Away)) {
                    tracing::warn!(error = %Chain(source.as_ref()), "the store is unavailable");
                }
                ErrorBody::retry_after(
                    Code::Unavailable,
                    "the store is unavailable; the outcome is unknown: send the same again",
                    250,
                )
                .into()
            }
            StoreError::Internal(_) => Self::internal(&error),
        }
    }
}

impl Call {
    /// The verb's arguments.
    ///
    /// # Errors
    /// `bad-request`, or `bad-frame` for a key given twice.
    pub(crate) fn arguments<R: Request>(&self) -> Result<R, Refusal> {
        Ok(self.frame.parse()?)
    }

    /// The successful response.
    ///
    /// # Errors
    /// It doesn't fit into a header: a fault of ours.
    pub(crate) fn answer<T: Serialize>(&self, response: &T, block: &Block) -> Handled {
        encode_response(self.id, response, block)
            .map(|frame| vec![frame])
            .map_err(|e| Refusal::internal(&e))
    }

    /// An event that is part of the answer.
    ///
    /// # Errors
    /// It doesn't fit into a header: a fault of ours.
    pub(crate) fn event<E: fastchat_wire::Event>(&self, event: &E, block: &Block) -> Result<Bytes, Refusal> {
        encode_event(Some(self.id), event, block).map_err(|e| Refusal::internal(&e))
    }
}

/// A page's limit, checked.
pub(crate) fn page_limit(limit: u32) -> Result<u32, Refusal> {
    if (1..=PAGE_MAX).contains(&limit) {
        Ok(limit)
    } else {
        Err(Refusal::bad_request(format!("limit is 1 to {PAGE_MAX}")))
    }
}
