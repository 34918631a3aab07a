//! `fastchat completions SHELL`

use crate::{args::Cli, context::Context, stop::Stop};
use clap::CommandFactory;
use clap_complete::{Shell, generate};

/// Print a script that completes commands in a shell
#[derive(Debug, clap::Args)]
#[command(after_long_help = help!(
"  fastchat completions bash > ~/.local/share/bash-completion/completions/fastchat
  fastchat completions fish > ~/.config/fish/completions/fastchat.fish"))]
pub(crate) struct Args {
    /// Of which shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

pub(crate) fn run(context: &Context<'_>, args: &Args) -> Result<(), Stop> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "fastchat", &mut script);
    context.screen.print(String::from_utf8_lossy(&script).trim_end())
}
