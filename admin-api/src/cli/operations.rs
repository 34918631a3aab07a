//! `fastchat-admin operations`.

use super::client::{CallError, Client};
use super::{Connection, output};
use clap::Subcommand;
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show how far an operation is
    Show {
        /// Its id
        id: String,
        /// Wait until it has ended
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Leave undone what can be: a drain, a rebalance, a strategy on trial
    Abort {
        /// Its id
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(verb: Verb) -> Result<(), CallError> {
    let (id, wait, connection) = match verb {
        Verb::Show { id, wait, connection } => (id, wait, connection),
        Verb::Abort { id, connection } => {
            let ended: Value = connection
                .client()?
                .post(&format!("/v1/operations/{id}/abort"), &serde_json::json!({}))
                .await?;
            output::object(&ended, connection.json);
            return Ok(());
        }
    };
    let client = connection.client()?;
    let operation = if wait {
        follow(&client, &id).await?
    } else {
        client.get(&format!("/v1/operations/{id}")).await?
    };
    output::object(&operation, connection.json);
    Ok(())
}

/// Prints an operation; without `no_wait` once it has ended, and a failure is an error.
pub(super) async fn finish(client: &Client, connection: &Connection, operation: Value, no_wait: bool) -> Result<(), CallError> {
    let ended = if no_wait {
        operation
    } else {
        follow(client, operation["id"].as_str().unwrap_or_default()).await?
    };
    output::object(&ended, connection.json);
    match ended["state"].as_str() {
        Some("failed") => Err(CallError::Failed(
            ended["error"]["detail"].as_str().unwrap_or("the operation failed").to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Waits until an operation has ended.
pub(crate) async fn follow(client: &Client, id: &str) -> Result<Value, CallError> {
    loop {
        let operation: Value = client.get(&format!("/v1/operations/{id}?wait=30s")).await?;
        if matches!(operation["state"].as_str(), Some("succeeded" | "failed")) {
            return Ok(operation);
        }
    }
}
