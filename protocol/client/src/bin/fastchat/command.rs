//! The commands, one file each.

pub(crate) mod completions;
pub(crate) mod delete;
pub(crate) mod devices;
pub(crate) mod edit;
pub(crate) mod group;
pub(crate) mod groups;
pub(crate) mod history;
pub(crate) mod lines;
pub(crate) mod listen;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod names;
pub(crate) mod password;
pub(crate) mod presence;
pub(crate) mod react;
pub(crate) mod register;
pub(crate) mod restore;
pub(crate) mod save;
pub(crate) mod send;
pub(crate) mod typing;
pub(crate) mod verify;
pub(crate) mod whoami;

use crate::{args::Command, context::Context, stop::Stop};
use std::io;

/// What a device is called in the list of its account's devices, where its owner does not say.
const DEVICE_NAME: &str = "fastchat in a terminal";

/// Runs one, until it is done or a signal comes. To be ended is how `listen` usually ends.
pub(crate) async fn run(context: &Context<'_>, command: Command) -> Result<(), Stop> {
    let listens = matches!(command, Command::Listen(_));
    // Before a password is asked for: the terminal's echo must come back after Ctrl-C.
    let mut signals = Signals::new().map_err(|error| Stop::system("can't take signals", &error))?;
    tokio::select! {
        biased;
        outcome = carry_out(context, command) => match outcome {
            Err(Stop::Interrupted) if listens => Ok(()),
            outcome => outcome,
        },
        () = signals.any() => if listens { Ok(()) } else { Err(Stop::Interrupted) },
    }
}

async fn carry_out(context: &Context<'_>, command: Command) -> Result<(), Stop> {
    match command {
        Command::Register(args) => register::run(context, args).await,
        Command::Login(args) => login::run(context, args).await,
        Command::Logout(args) => logout::run(context, &args).await,
        Command::Password(args) => password::run(context, &args).await,
        Command::Restore(args) => restore::run(context, &args).await,
        Command::Whoami(args) => whoami::run(context, &args),
        Command::Send(args) => send::run(context, args).await,
        Command::Edit(args) => edit::run(context, args).await,
        Command::Delete(args) => delete::run(context, args).await,
        Command::React(args) => react::run(context, args).await,
        Command::Listen(args) => listen::run(context, &args).await,
        Command::Typing(args) => typing::run(context, &args).await,
        Command::History(args) => history::run(context, &args).await,
        Command::Save(args) => save::run(context, &args).await,
        Command::Group(verb) => group::run(context, verb).await,
        Command::Presence(args) => presence::run(context, &args).await,
        Command::Verify(args) => verify::run(context, args).await,
        Command::Devices(args) => devices::run(context, args).await,
        Command::Groups(args) => groups::run(context, &args).await,
        Command::Completions(args) => completions::run(context, &args),
    }
}

/// Ctrl-C and SIGTERM.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The first of them.
    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// The first of them.
    async fn any(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
