//! Which verbs a connection may use, by what it has said so far. Pure.
//!
//! ```text
//!  AwaitingHello ── hello ──> SigningIn ── register │ login │ resume ──> Ready
//! ```
//!
//! `logout` ends the session with all of its connections.

use super::{context::Identity, handlers::Refusal};
use fastchat_wire::{AccountId, Code, Op};

/// What a connection has said so far; each state has its own data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Session {
    /// Nothing yet.
    AwaitingHello,
    /// `hello`; not signed in.
    SigningIn,
    /// Signed in.
    Ready(Identity),
}

/// A verb that the state allows, and who uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// `hello`.
    Hello,
    /// `register`, `login`, `resume` by somebody not signed in.
    SignIn(SignInOp),
    /// `auth-params`, `ping`: anybody after `hello`.
    Open(OpenOp),
    /// Everything that needs an identity.
    Serve(Op, Identity),
}

/// Verbs that sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignInOp {
    /// `register`.
    Register,
    /// `login`.
    Login,
    /// `resume`.
    Resume,
}

/// Verbs for anybody after `hello`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenOp {
    /// `auth-params`.
    AuthParams,
    /// `ping`.
    Ping,
}

fn sign_in_op(op: Op) -> Option<SignInOp> {
    match op {
        Op::Register => Some(SignInOp::Register),
        Op::Login => Some(SignInOp::Login),
        Op::Resume => Some(SignInOp::Resume),
        _ => None,
    }
}

fn open_op(op: Op) -> Option<OpenOp> {
    match op {
        Op::AuthParams => Some(OpenOp::AuthParams),
        Op::Ping => Some(OpenOp::Ping),
        _ => None,
    }
}

impl Session {
    /// Who is signed in, if anybody.
    pub(crate) fn account(self) -> Option<AccountId> {
        match self {
            Self::Ready(identity) => Some(identity.account),
            Self::AwaitingHello | Self::SigningIn => None,
        }
    }

    /// Is this verb allowed now? `None` is a verb that the protocol doesn't have.
    ///
    /// # Errors
    /// The refusal to answer; nothing of the request was looked at.
    pub(crate) fn admit(self, op: Option<Op>) -> Result<Admitted, Refusal> {
        match (self, op) {
            (Self::AwaitingHello, Some(Op::Hello)) => Ok(Admitted::Hello),
            (Self::AwaitingHello, _) => Err(Refusal::bad_request("say hello first")),
            (_, Some(Op::Hello)) => Err(Refusal::bad_request("hello was said already")),
            (Self::SigningIn, op) => match op.map(|op| (sign_in_op(op), open_op(op))) {
                Some((Some(op), _)) => Ok(Admitted::SignIn(op)),
                Some((_, Some(op))) => Ok(Admitted::Open(op)),
                _ => Err(Refusal::new(Code::Unauthenticated, "sign in first: register, login or resume")),
            },
            (Self::Ready(_), None) => Err(Refusal::new(Code::UnknownOp, "no such op")),
            (Self::Ready(_), Some(Op::Assign | Op::Attach)) => {
                Err(Refusal::new(Code::UnknownOp, "this is a chat server: that op is the balancer's"))
            }
            (Self::Ready(identity), Some(op)) => match (sign_in_op(op), open_op(op)) {
                (Some(_), _) => Err(Refusal::bad_request("signed in already: logout first")),
                (_, Some(op)) => Ok(Admitted::Open(op)),
                _ => Ok(Admitted::Serve(op, identity)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::accounts::SessionId;
    use fastchat_wire::DeviceId;

    fn ready() -> Session {
        Session::Ready(Identity {
            account: AccountId([1; 16]),
            device: DeviceId([2; 16]),
            session: SessionId([3; 16]),
        })
    }

    fn code(session: Session, op: Option<Op>) -> Option<Code> {
        session.admit(op).err().map(|refusal| refusal.error.code)
    }

    #[test]
    fn only_hello_opens_a_conversation() {
        for op in Op::ALL.iter().copied().filter(|op| *op != Op::Hello) {
            assert_eq!(code(Session::AwaitingHello, Some(op)), Some(Code::BadRequest), "{op:?}");
        }
        assert_eq!(code(Session::AwaitingHello, None), Some(Code::BadRequest));
        assert_eq!(Session::AwaitingHello.admit(Some(Op::Hello)), Ok(Admitted::Hello));
        assert_eq!(code(Session::SigningIn, Some(Op::Hello)), Some(Code::BadRequest));
        assert_eq!(code(ready(), Some(Op::Hello)), Some(Code::BadRequest));
    }

    #[test]
    fn before_sign_in_every_other_op_known_or_not_is_unauthenticated() {
        let served = [Op::Hello, Op::Register, Op::Login, Op::Resume, Op::AuthParams, Op::Ping];
        for op in Op::ALL.iter().copied().filter(|op| !served.contains(op)) {
            assert_eq!(code(Session::SigningIn, Some(op)), Some(Code::Unauthenticated), "{op:?}");
        }
        assert_eq!(code(Session::SigningIn, None), Some(Code::Unauthenticated));
    }

    #[test]
    fn a_signed_in_session_serves_everything_but_sign_in_and_the_balancers_ops() {
        for op in Op::ALL.iter().copied() {
            let expected = match op {
                Op::Hello | Op::Register | Op::Login | Op::Resume => Some(Code::BadRequest),
                Op::Assign | Op::Attach => Some(Code::UnknownOp),
                _ => None,
            };
            assert_eq!(code(ready(), Some(op)), expected, "{op:?}");
        }
        assert_eq!(code(ready(), None), Some(Code::UnknownOp));
    }
}
