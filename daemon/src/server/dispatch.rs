//! Which handler a verb has.

use super::{
    Server,
    context::Identity,
    handlers::{self, Answer, Call, Handled, Refusal},
    hub::ConnectionId,
    session::{OpenOp, SignInOp},
};
use fastchat_wire::{Code, Op};

/// Verbs that sign in. A server that is being emptied takes nobody new.
pub(super) async fn sign_in(server: &Server, op: SignInOp, call: &Call) -> Result<(Identity, Answer), Refusal> {
    let method = match op {
        SignInOp::Register => "register",
        SignInOp::Login => "login",
        SignInOp::Resume => "resume",
    };
    let outcome = if server.load.is_draining() {
        Err(Refusal::new(
            Code::Draining,
            "this server is being emptied: ask the balancer for another",
        ))
    } else {
        match op {
            SignInOp::Register => handlers::register::handle(&server.context, call).await,
            SignInOp::Login => handlers::login::handle(&server.context, call).await,
            SignInOp::Resume => handlers::resume::handle(&server.context, call).await,
        }
    };
    let label = if outcome.is_ok() { "ok" } else { "refused" };
    server.metrics.sign_ins.with_label_values(&[method, label]).inc();
    outcome
}

/// Verbs for anybody after `hello`.
pub(super) async fn open(server: &Server, op: OpenOp, call: &Call) -> Handled {
    match op {
        OpenOp::AuthParams => handlers::auth_params::handle(&server.context, call).await,
        OpenOp::Ping => handlers::ping::handle(&server.context, call).await,
    }
}

/// Verbs that need an identity.
pub(super) async fn serve(server: &Server, op: Op, who: &Identity, call: &Call, connection: ConnectionId) -> Handled {
    let context = &server.context;
    match op {
        Op::Create => handlers::create::handle(server, who, call).await,
        Op::Conversations => handlers::conversations::handle(server, who, call, connection).await,
        Op::Members => handlers::members::handle(server, who, call).await,
        Op::Commit => handlers::commit::handle(server, who, call, connection).await,
        Op::Fetch => handlers::fetch::handle(server, who, call).await,
        Op::Trim => handlers::trim::handle(server, who, call).await,
        Op::GroupInfo => handlers::group_info::handle(server, who, call).await,
        Op::Grant => handlers::grant::handle(server, who, call).await,
        Op::Leave => handlers::leave::handle(server, who, call).await,
        Op::Mark => handlers::mark::handle(server, who, call).await,
        Op::Signal => handlers::signal::handle(server, who, call, connection).await,
        Op::Logout => handlers::logout::handle(context, who, call).await,
        Op::ChangePassword => handlers::change_password::handle(context, who, call).await,
        Op::Lookup => handlers::lookup::handle(context, who, call).await,
        Op::SetCredential => handlers::set_credential::handle(context, who, call).await,
        Op::RemoveDevice => handlers::remove_device::handle(context, who, call).await,
        Op::RenameDevice => handlers::rename_device::handle(context, who, call).await,
        Op::KeysPublish => handlers::keys_publish::handle(context, who, call).await,
        Op::KeysCount => handlers::keys_count::handle(context, who, call).await,
        Op::KeysClaim => handlers::keys_claim::handle(context, who, call).await,
        Op::BlobCreate => handlers::blob_create::handle(context, who, call).await,
        Op::BlobPut => handlers::blob_put::handle(context, who, call).await,
        Op::BlobGet => handlers::blob_get::handle(context, who, call).await,
        // The session admits none of the others here.
        _ => Err(Refusal::new(
            Code::UnknownOp,
            format!("a chat server does not serve {}", op.as_str()),
        )),
    }
}
