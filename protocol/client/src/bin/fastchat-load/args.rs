//! The command line: what all modes have, and the list of modes.

use crate::{
    interrupt::Interrupt,
    mode::{assign, check, group, herd, hostile, idle, pairs, reconnect, signin},
    processes::Process,
    stamp::STAMP_BYTES,
};
use clap::{Args, Parser, Subcommand};
use fastchat_client::Address;
use fastchat_wire::limits::BLOCK_BYTES_MAX;
use std::path::PathBuf;

/// FastChat's load generator: how fast a fleet is, what it costs, and whether it loses anything
///
/// Each mode drives a running fleet over real sockets as clients do, for a warm-up and then for the time that is
/// measured, and prints its figures; Ctrl-C ends it early with the figures so far. Messages are 200 bytes of nothing:
/// a server can't tell them from sealed ones. Latencies are taken from the time at which a message was to be sent, so
/// that a server that stalls can't hide it.
#[derive(Debug, Parser)]
#[command(
    name = "fastchat-load",
    version,
    max_term_width = 100,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "`fastchat-load --help` has examples, `fastchat-load help MODE` is about one mode.",
    after_long_help = help!(
"  fastchat-load pairs --pairs 100 --window 32            as many messages as the fleet takes
  fastchat-load pairs --rate 1000 --json                 latencies at 1,000 messages a second
  fastchat-load group --members 100 --accounts ~/load    one large group; keep the accounts
  fastchat-load check --seconds 60 --kill-every 5        kill servers, and prove that nothing is lost
  fastchat-load herd --clients 5000 --seconds 60         kill or drain a server: how its clients come back
  fastchat-load idle --connections 5000                  memory of a connection")
)]
pub(crate) struct Cli {
    /// Flags of all modes.
    #[command(flatten)]
    pub(crate) common: Common,
    /// What to do.
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

/// Flags of all modes; they may stand before or after the mode.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Common {
    /// The fleet's balancer
    #[arg(
        long,
        global = true,
        env = "FASTCHAT_BALANCER",
        hide_env = true,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:7101"
    )]
    pub(crate) balancer: Address,
    /// Go to this server without asking the balancer; several take turns
    #[arg(long, global = true, value_name = "HOST:PORT", value_delimiter = ',')]
    pub(crate) server: Vec<Address>,
    /// Use TLS, also to this machine; to others it is used anyway
    ///
    /// All servers must have a certificate for the host of --balancer (without it: of the first --server).
    #[arg(long, global = true)]
    pub(crate) tls: bool,
    /// Trust the CA in this PEM file and no other; implies --tls
    #[arg(long, global = true, env = "FASTCHAT_CA", hide_env = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Connect without TLS, also to addresses that are not this machine's
    ///
    /// Whoever is on the way can then read along, and take over the sessions.
    #[arg(long, global = true, conflicts_with_all = ["tls", "ca"])]
    pub(crate) allow_plaintext: bool,
    /// Keep accounts here, and use those of earlier runs
    ///
    /// To register an account costs a server some 20 ms of CPU time, by design. A folder that exists gets one file for each fleet.
    /// The file holds secrets of the accounts; only its owner may read it.
    #[arg(long, global = true, value_name = "DIR|FILE")]
    pub(crate) accounts: Option<PathBuf>,
    /// Print the figures as one JSON object
    ///
    /// Latencies are in µs, CPU times in seconds, memory in bytes. What a mode does not measure is left out.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show a line each second on stderr, also where that is no terminal
    #[arg(long, global = true)]
    pub(crate) progress: bool,
    /// A process whose CPU time and memory to measure: server=4711, balancer=4712, database=4713, bus=4714
    ///
    /// What it starts counts as its own: of PostgreSQL, name the process that started all others.
    #[arg(long, global = true, value_name = "ROLE=PID", value_parser = |text: &str| text.parse::<Process>())]
    pub(crate) pid: Vec<Process>,
    /// Ask this control plane for the servers' and balancers' process ids
    #[arg(
        long,
        global = true,
        env = "FASTCHAT_ADMIN_URL",
        hide_env = true,
        value_name = "URL",
        requires = "token_file"
    )]
    pub(crate) admin_url: Option<String>,
    /// File with the token for --admin-url
    #[arg(long, global = true, env = "FASTCHAT_ADMIN_TOKEN_FILE", hide_env = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Whether the run is to end early.
    #[arg(skip)]
    pub(crate) interrupt: Interrupt,
    /// Count the CPU time of every PostgreSQL server of this machine as the database's
    #[arg(long, global = true)]
    pub(crate) database_pids: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Mode {
    // What each of them is stands above its arguments.
    Pairs(pairs::Args),
    Group(group::Args),
    Idle(idle::Args),
    Herd(herd::Args),
    Reconnect(reconnect::Args),
    Assign(assign::Args),
    Signin(signin::Args),
    Hostile(hostile::Args),
    Check(check::Args),
}

/// Reads a time in seconds.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|s: &f64| (0.0..=1e6).contains(s));
    seconds.ok_or_else(|| "give seconds, as in 10 or 0.5".to_owned())
}

/// Reads a rate per second.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|r: &f64| (0.001..=1e7).contains(r));
    rate.ok_or_else(|| "give messages per second, as in 1000".to_owned())
}

/// Reads the size of a block.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().filter(|size| (STAMP_BYTES..=BLOCK_BYTES_MAX).contains(size));
    size.ok_or_else(|| format!("give bytes, {STAMP_BYTES} to {BLOCK_BYTES_MAX}"))
}

/// Reads a count that is at least 1.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=1_000_000).contains(count));
    count.ok_or_else(|| "give a number, 1 to 1000000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, error::ErrorKind};

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn common_flags_stand_before_or_after_the_mode() {
        for line in [
            "fastchat-load --json --pid server=1 pairs",
            "fastchat-load pairs --json --pid server=1",
        ] {
            let cli = parse(line).unwrap();
            assert!(cli.common.json && cli.common.pid.len() == 1, "{line}");
        }
    }

    #[test]
    fn every_mode_has_examples_and_exit_codes_in_its_long_help() {
        fn check(command: &mut clap::Command) {
            if command.get_name() == "help" {
                return;
            }
            let help = command.render_long_help().to_string();
            for part in ["Examples:", "Exit codes:"] {
                assert!(help.contains(part), "{}", command.get_name());
            }
            assert!(command.get_about().is_some(), "{}", command.get_name());
            command.get_subcommands_mut().for_each(check);
        }
        check(&mut Cli::command());
    }

    #[test]
    fn what_makes_no_sense_is_wrong_usage() {
        for (line, kind) in [
            ("fastchat-load pairs --size 8", ErrorKind::ValueValidation),
            ("fastchat-load pairs --window 4 --rate 10", ErrorKind::ArgumentConflict),
            ("fastchat-load pairs --spread --together", ErrorKind::ArgumentConflict),
            ("fastchat-load pairs --seconds -1", ErrorKind::UnknownArgument),
            ("fastchat-load group --members 0", ErrorKind::ValueValidation),
            ("fastchat-load pairs --admin-url http://h:1", ErrorKind::MissingRequiredArgument),
        ] {
            assert_eq!(parse(line).unwrap_err().kind(), kind, "{line}");
        }
    }
}
