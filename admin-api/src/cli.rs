//! The command line: verbs that call REST, and the two that run something.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 can't connect.

mod audit;
mod balancers;
mod balancing;
pub(crate) mod certificates;
pub(crate) mod client;
mod hosts;
mod limits;
pub(crate) mod operations;
pub(crate) mod output;
mod preview;
mod servers;

use crate::{serve, up};
use clap::{Args, Parser, Subcommand};
use client::{CallError, Client, Trust};
use std::path::PathBuf;

/// FastChat's control plane and its command line.
#[derive(Debug, Parser)]
#[command(name = "fastchat-admin", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a whole fleet on this machine, and end it with Ctrl-C
    Up(up::Args),
    /// Run the control plane
    Serve(serve::Args),
    /// Chat servers
    #[command(subcommand)]
    Servers(servers::Verb),
    /// Balancers
    #[command(subcommand)]
    Balancers(balancers::Verb),
    /// Hosts
    #[command(subcommand)]
    Hosts(hosts::Verb),
    /// The balancing strategy
    #[command(subcommand)]
    Balancing(balancing::Verb),
    /// What clients may take
    #[command(subcommand)]
    Limits(limits::Verb),
    /// Long work
    #[command(subcommand)]
    Operations(operations::Verb),
    /// Certificates of a fleet's own CA
    #[command(subcommand)]
    Certificates(certificates::Verb),
    /// Who changed what
    #[command(subcommand)]
    Audit(audit::Verb),
}

/// How the control plane is called.
#[derive(Debug, Clone, Args)]
pub(crate) struct Connection {
    /// The control plane
    #[arg(long, env = "FASTCHAT_ADMIN_URL", default_value = "http://127.0.0.1:7100", value_name = "URL")]
    url: String,
    /// File of the bearer token
    #[arg(
        long,
        env = "FASTCHAT_ADMIN_TOKEN_FILE",
        default_value = "./fastchat-data/admin.token",
        value_name = "FILE"
    )]
    token_file: PathBuf,
    /// Trust the CA in this PEM file and no other, for an https:// URL
    #[arg(long, env = "FASTCHAT_ADMIN_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Send the token without TLS beyond this machine: on a network that you trust
    #[arg(long)]
    allow_plaintext: bool,
    /// Why: kept in the audit log with what is changed
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Connection {
    fn client(&self) -> Result<Client, CallError> {
        let token = crate::data::read_token(&self.token_file).map_err(|error| CallError::Usage(format!("{error:#}")))?;
        let missing = || {
            CallError::Usage(format!(
                "there is no token at {}; give --token-file, it is admin.token in the data folder of `up` or `serve`",
                self.token_file.display()
            ))
        };
        let trust = Trust {
            ca: self.ca.clone(),
            name: None,
            allow_plaintext: self.allow_plaintext,
        };
        Client::new(&self.url, token.ok_or_else(missing)?, &trust)?.because(self.reason.as_deref())
    }
}

/// Runs a verb that calls REST.
pub(crate) async fn call(command: Command) -> Result<(), CallError> {
    match command {
        Command::Servers(verb) => servers::run(verb).await,
        Command::Balancers(verb) => balancers::run(verb).await,
        Command::Hosts(verb) => hosts::run(verb).await,
        Command::Balancing(verb) => balancing::run(verb).await,
        Command::Limits(verb) => limits::run(verb).await,
        Command::Operations(verb) => operations::run(verb).await,
        Command::Audit(verb) => audit::run(verb).await,
        Command::Up(_) | Command::Serve(_) | Command::Certificates(_) => Err(CallError::Usage("this verb does not call REST".to_owned())),
    }
}
