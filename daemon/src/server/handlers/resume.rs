//! `resume`: signs in with a session token. The use of a dead token means that
//! somebody has a copy: the session ends.

use super::{Answer, Call, Refusal};
use crate::{
    server::{
        context::{Context, Identity, now_ms},
        news::News,
        token,
    },
    store::{Denied, accounts::Resumption},
};
use fastchat_wire::{
    Block,
    chat::resume::{Resume, Resumed},
};

/// Finds the token's session; once a day it gets a new token.
pub(crate) async fn handle(context: &Context, call: &Call) -> Result<(Identity, Answer), Refusal> {
    let arguments: Resume = call.arguments()?;
    let (fresh, fresh_digest) = token::fresh()?;
    let resumption = context
        .store
        .resume(token::digest(&arguments.token), fresh_digest, now_ms())
        .await?;
    let session = match resumption {
        Resumption::Resumed(session) => session,
        Resumption::Ended(session) => {
            tracing::warn!("a dead session token was used: the session has ended");
            context.announcer.announce(News::SessionEnded(session)).await;
            return Err(Denied::Unauthenticated.into());
        }
        Resumption::Unknown => return Err(Denied::Unauthenticated.into()),
    };
    let identity = Identity {
        account: session.account,
        device: session.device,
        session: session.session,
    };
    let resumed = Resumed {
        account: session.account,
        device: session.device,
        token: if session.rotated { fresh } else { arguments.token },
    };
    Ok((identity, call.answer(&resumed, &Block::none())?))
}
