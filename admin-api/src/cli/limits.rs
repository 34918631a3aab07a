//! `fastchat-admin limits`.

use super::client::CallError;
use super::{Connection, output};
use clap::Subcommand;
use serde_json::Value;
use std::{io::Read, path::PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show what clients may take
    Show {
        #[command(flatten)]
        connection: Connection,
    },
    /// Change what clients may take: `limits show --json`, edited
    Set {
        /// File of the whole document, JSON; - is standard input. What it leaves out becomes the default
        file: PathBuf,
        /// Only if the document is still of this generation
        #[arg(long, value_name = "GENERATION")]
        if_generation: Option<u64>,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(verb: Verb) -> Result<(), CallError> {
    match verb {
        Verb::Show { connection } => {
            let value: Value = connection.client()?.get("/v1/limits").await?;
            output::object(&value, connection.json);
            Ok(())
        }
        Verb::Set {
            file,
            if_generation,
            connection,
        } => {
            let wrong = |error: &dyn std::fmt::Display| CallError::Usage(format!("{}: {error}", file.display()));
            let mut text = String::new();
            if file.as_os_str() == "-" {
                std::io::stdin().read_to_string(&mut text).map_err(|error| wrong(&error))?;
            } else {
                text = std::fs::read_to_string(&file).map_err(|error| wrong(&error))?;
            }
            let body: Value = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
            let condition = if_generation.map_or_else(|| "*".to_owned(), |generation| format!("\"{generation}\""));
            let value: Value = connection.client()?.put("/v1/limits", &body, &condition).await?;
            output::object(&value, connection.json);
            Ok(())
        }
    }
}
