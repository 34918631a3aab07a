//! `fastchat-admin hosts`.

use super::client::CallError;
use super::{Connection, output};
use clap::Subcommand;

const COLUMNS: &[&str] = &[
    "name",
    "address",
    "state",
    "cpus",
    "instances",
    "pid",
    "version",
    "applied_generation",
];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List them
    List {
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(verb: Verb) -> Result<(), CallError> {
    let Verb::List { connection } = verb;
    let items = connection.client()?.list("/v1/hosts").await?;
    output::list(&items, COLUMNS, connection.json);
    Ok(())
}
