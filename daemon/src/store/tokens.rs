//! What a session's token is good for: pure.
//!
//! ```text
//!  a session's tokens     offered ──first use──> current ──a newer one's first use──> retired
//!                         (one a day)            (good)                               (its use ends the session)
//! ```

use super::{
    Denied, Result,
    accounts::{ResumedSession, Resumption, TOKEN_MS},
    directory::session_id,
    values,
};
use fastchat_schema::Columns;

/// How long tokens that are out of use are remembered: a dead one that is older
/// is like one that never was.
pub(in crate::store) const REMEMBERED_MS: u64 = 90 * TOKEN_MS;

/// What is known of a token.
#[derive(Debug)]
pub(in crate::store) struct Token {
    pub(in crate::store) state: String,
    pub(in crate::store) session: ResumedSession,
    locked: bool,
    /// When the session's newest token was issued.
    newest_at: u64,
}

impl Token {
    /// Is a new token to be offered?
    pub(in crate::store) fn is_due(&self, at: u64) -> bool {
        self.newest_at.saturating_add(TOKEN_MS) <= at
    }
}

/// A token's row, with its session.
pub(in crate::store) fn token(row: &impl Columns) -> Result<Token> {
    Ok(Token {
        state: values::text(row, "state")?.to_owned(),
        session: ResumedSession {
            account: values::id(row, "account_id")?,
            device: values::id(row, "device_id")?,
            session: session_id(row, "session_id")?,
            rotated: false,
        },
        locked: values::flag(row, "locked")?,
        newest_at: values::number(row, "newest_at")?,
    })
}

/// The answer to a good token. Denied: `locked`.
pub(in crate::store) fn resumed(found: &Token, rotated: bool) -> Result<Resumption> {
    if found.locked {
        return Err(Denied::Locked.into());
    }
    Ok(Resumption::Resumed(ResumedSession { rotated, ..found.session }))
}
