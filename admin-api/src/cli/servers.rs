//! `fastchat-admin servers`.

use super::balancing::seconds;
use super::client::CallError;
use super::{Connection, operations, output};
use clap::Subcommand;
use serde_json::{Value, json};

const COLUMNS: &[&str] = &[
    "name",
    "host",
    "address",
    "state",
    "connections",
    "pid",
    "version",
    "restarts",
    "applied_generation",
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
        /// Share of the clients
        #[arg(long)]
        weight: Option<f64>,
        /// Most connections; 0 is no limit
        #[arg(long)]
        connections_max: Option<u64>,
        /// Do not wait until it is ready
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Drain one, stop it and forget it
    Remove {
        /// Its name
        name: String,
        /// Without drain, and even if it is the last ready one
        #[arg(long)]
        force: bool,
        /// Clients asked to move per second [default: 200]
        #[arg(long, value_name = "N")]
        clients_per_s: Option<u32>,
        /// Clients that are left are closed after this time [default: 30s]
        #[arg(long, value_name = "TIME", value_parser = seconds)]
        within: Option<u64>,
        /// Show what would be, and change nothing
        #[arg(long)]
        dry_run: bool,
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
            let items = connection.client()?.list("/v1/servers").await?;
            output::list(&items, COLUMNS, connection.json);
            Ok(())
        }
        Verb::Show { name, connection } => {
            let value: Value = connection.client()?.get(&format!("/v1/servers/{name}")).await?;
            output::object(&value, connection.json);
            Ok(())
        }
        Verb::Add {
            host,
            weight,
            connections_max,
            no_wait,
            connection,
        } => {
            let client = connection.client()?;
            let mut body = json!({});
            for (key, value) in [
                ("host", host.map(Value::from)),
                ("weight", weight.map(Value::from)),
                ("connections_max", connections_max.map(Value::from)),
            ] {
                if let Some(value) = value {
                    body[key] = value;
                }
            }
            let operation = client.post("/v1/servers", &body).await?;
            operations::finish(&client, &connection, operation, no_wait).await
        }
        Verb::Remove {
            name,
            force,
            clients_per_s,
            within,
            dry_run,
            no_wait,
            connection,
        } => {
            let client = connection.client()?;
            let rate = clients_per_s.map_or_else(String::new, |rate| format!("&clients_per_s={rate}"));
            let within = within.map_or_else(String::new, |within| format!("&within_s={within}"));
            let path = format!("/v1/servers/{name}?force={force}&dry_run={dry_run}{rate}{within}");
            let operation = client.delete(&path).await?;
            if dry_run {
                output::object(&operation, connection.json);
                return Ok(());
            }
            operations::finish(&client, &connection, operation, no_wait).await
        }
    }
}
