//! The command line: global flags, and the list of commands.

use crate::command::{
    completions, delete, devices, edit, group, groups, history, listen, login, logout, password, presence, react, register, restore, save,
    send, typing, verify, whoami,
};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use fastchat_client::Address;
use fastchat_e2e::{Username, username::InvalidUsername};
use std::path::PathBuf;

/// FastChat in a terminal: chat that only its members can read
///
/// Messages, files and the names of groups are sealed on this device and opened on those of the people you write to;
/// the servers in between hold nothing that they could read. A profile is one device of yours: a folder with its keys
/// and its history.
///
/// People are written @user, groups '#group'; quote the latter, because a shell takes # for a comment.
#[derive(Debug, Parser)]
#[command(
    name = "fastchat",
    version,
    max_term_width = 100,
    propagate_version = true,
    after_help = "`fastchat --help` has examples, `fastchat help COMMAND` is about one command.",
    after_long_help = help!(
"  fastchat register alice                       become @alice; shows the recovery code once
  fastchat send @bob \"hello\"                    write to somebody
  fastchat send @bob --file cat.png             send a picture
  fastchat listen                               show what arrives, until Ctrl-C
  fastchat group create team @bob @carol        make a group
  fastchat send '#team' \"hi all\"                write to it
  fastchat history '#team'                      read it again
  fastchat verify @bob                          compare digits: is nobody in between?
  fastchat --profile bot listen --json | jq .   for scripts: one JSON object a line")
)]
pub(crate) struct Cli {
    /// Flags of all commands.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of all commands; they may stand before or after the command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The profile: a name, or a folder if it has a `/`
    ///
    /// A profile is one device: its keys, its history, its downloads. NAME stands for ~/.local/share/fastchat/NAME.
    #[arg(
        long,
        global = true,
        env = "FASTCHAT_PROFILE",
        hide_env = true,
        value_name = "NAME|DIR",
        default_value = "default"
    )]
    pub(crate) profile: String,
    /// The fleet's balancer [default: the one used last, or 127.0.0.1:7101]
    ///
    /// Once it has worked it is kept in the profile.
    #[arg(long, global = true, env = "FASTCHAT_BALANCER", hide_env = true, value_name = "HOST:PORT", value_parser = address)]
    pub(crate) balancer: Option<Address>,
    /// Print results as JSON, one object a line
    ///
    /// Errors are then `{"error":{"code","message"}}` on stderr. Times are milliseconds since 1970.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Use TLS, also to this machine; to others it is used anyway
    ///
    /// The fleet must have a certificate for the host of --balancer, from a CA that this machine trusts or that of --ca.
    /// Kept in the profile with the balancer.
    #[arg(long, global = true)]
    pub(crate) tls: bool,
    /// Trust the CA in this PEM file and no other, for a fleet that has one of its own; implies --tls
    ///
    /// Who runs the fleet gives you the file. Its path is kept in the profile with the balancer.
    #[arg(long, global = true, env = "FASTCHAT_CA", hide_env = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Connect without TLS, also to addresses that are not this machine's
    ///
    /// Whoever is on the way then sees names, times and sizes (not what is said), and can take over the session.
    #[arg(long, global = true, conflicts_with_all = ["tls", "ca"])]
    pub(crate) allow_plaintext: bool,
    /// Colours
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// Log to stderr what happens on the network; -vv: in detail
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    // What each of them is stands above its arguments.
    Register(register::Args),
    Login(login::Args),
    Logout(logout::Args),
    Password(password::Args),
    Restore(restore::Args),
    Whoami(whoami::Args),
    Send(send::Args),
    Edit(edit::Args),
    Delete(delete::Args),
    React(react::Args),
    Typing(typing::Args),
    Listen(listen::Args),
    History(history::Args),
    Save(save::Args),
    #[command(subcommand)]
    Group(group::Verb),
    Groups(groups::Args),
    Presence(presence::Args),
    Verify(verify::Args),
    Devices(devices::Args),
    Completions(completions::Args),
}

/// Reads a balancer's address.
fn address(text: &str) -> Result<Address, fastchat_client::Error> {
    text.parse()
}

/// Reads `@user` or `user`, in any case.
pub(crate) fn username(text: &str) -> Result<Username, InvalidUsername> {
    text.strip_prefix('@').unwrap_or(text).to_ascii_lowercase().parse()
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
    fn global_flags_stand_before_or_after_the_command() {
        for line in [
            "fastchat --json --profile bob whoami",
            "fastchat whoami --json --profile bob",
            "fastchat --profile bob whoami --json",
        ] {
            let cli = parse(line).unwrap();
            assert!(cli.global.json, "{line}");
            assert_eq!(cli.global.profile, "bob", "{line}");
        }
    }

    #[test]
    fn every_command_has_examples_and_exit_codes_in_its_long_help() {
        fn check(command: &mut clap::Command) {
            if command.get_name() == "help" {
                return;
            }
            let help = command.render_long_help().to_string();
            assert!(help.contains("Examples:"), "{}", command.get_name());
            assert!(help.contains("Exit codes:"), "{}", command.get_name());
            assert!(command.get_about().is_some(), "{}", command.get_name());
            command.get_subcommands_mut().for_each(check);
        }
        check(&mut Cli::command());
    }

    #[test]
    fn a_password_is_no_argument_of_any_command() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                assert!(!argument.get_id().as_str().contains("password"), "{}", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn names_are_taken_with_or_without_the_sign_and_in_any_case() {
        for text in ["@bob", "bob", "@Bob", "BOB"] {
            assert_eq!(username(text).unwrap().as_str(), "bob");
        }
        for text in ["", "@", "@@bob", "b b", "#bob"] {
            assert!(username(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_balancer_without_a_port_is_wrong_usage() {
        let error = parse("fastchat whoami --balancer localhost").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ValueValidation);
        assert!(error.to_string().contains("HOST:PORT"));
    }
}
