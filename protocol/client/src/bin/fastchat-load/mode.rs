//! The modes, one file each.

pub(crate) mod assign;
pub(crate) mod check;
pub(crate) mod group;
pub(crate) mod herd;
pub(crate) mod hostile;
pub(crate) mod idle;
pub(crate) mod pairs;
pub(crate) mod reconnect;
mod repeat;
pub(crate) mod signin;

use crate::{
    args::{Cli, Mode},
    report::Report,
    trouble::Trouble,
};

/// Runs one.
///
/// # Errors
/// It could not be run; what it found is in the report.
pub(crate) async fn run(cli: Cli) -> Result<Report, Trouble> {
    let common = &cli.common;
    match cli.mode {
        Mode::Pairs(args) => pairs::run(common, &args).await,
        Mode::Group(args) => group::run(common, &args).await,
        Mode::Herd(args) => herd::run(common, &args).await,
        Mode::Idle(args) => idle::run(common, &args).await,
        Mode::Reconnect(args) => reconnect::run(common, &args).await,
        Mode::Assign(args) => assign::run(common, &args).await,
        Mode::Signin(args) => signin::run(common, &args).await,
        Mode::Hostile(args) => hostile::run(common, &args).await,
        Mode::Check(args) => check::run(common, &args).await,
    }
}
