//! `fastchat-admin audit`.

use super::client::CallError;
use super::{Connection, output};
use clap::Subcommand;

const COLUMNS: &[&str] = &[
    "seq",
    "record.at",
    "record.who",
    "record.from",
    "record.method",
    "record.path",
    "record.status",
    "record.result",
    "record.change",
];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List who changed what and who was refused, oldest first
    List {
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(verb: Verb) -> Result<(), CallError> {
    let Verb::List { connection } = verb;
    let items = connection.client()?.list("/v1/audit").await?;
    output::list(&items, COLUMNS, connection.json);
    Ok(())
}
