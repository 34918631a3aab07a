//! `fastchat-admin balancers`.

use super::client::CallError;
use super::{Connection, operations, output};
use clap::Subcommand;
use serde_json::{Value, json};

const COLUMNS: &[&str] = &[
    "name",
    "host",
    "address",
    "state",
    "pid",
    "version",
    "restarts",
    "applied_generation",
    "balancing_generation",
];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List them
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Show one
    Show {
        /// Its name
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Launch one
    Add {
        /// Host to launch it on [default: the one with the fewest processes]
        #[arg(long)]
        host: Option<String>,
        /// Do not wait until it is ready
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Stop one and forget it
    Remove {
        /// Its name
        name: String,
        /// Even if it is the last ready one
        #[arg(long)]
        force: bool,
        /// Do not wait until it has stopped
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(verb: Verb) -> Result<(), CallError> {
    match verb {
        Verb::List { connection } => {
            let items = connection.client()?.list("/v1/balancers").await?;
            output::list(&items, COLUMNS, connection.json);
            Ok(())
        }
        Verb::Show { name, connection } => {
            let value: Value = connection.client()?.get(&format!("/v1/balancers/{name}")).await?;
            output::object(&value, connection.json);
            Ok(())
        }
        Verb::Add { host, no_wait, connection } => {
            let client = connection.client()?;
            let mut body = json!({});
            for (key, value) in [("host", host.map(Value::from))] {
                if let Some(value) = value {
                    body[key] = value;
                }
            }
            let operation = client.post("/v1/balancers", &body).await?;
            operations::finish(&client, &connection, operation, no_wait).await
        }
        Verb::Remove {
            name,
            force,
            no_wait,
            connection,
        } => {
            let client = connection.client()?;
            let operation = client.delete(&format!("/v1/balancers/{name}?force={force}")).await?;
            operations::finish(&client, &connection, operation, no_wait).await
        }
    }
}
