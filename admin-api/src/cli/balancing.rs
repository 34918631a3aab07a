//! `fastchat-admin balancing`.

use super::client::CallError;
use super::{Connection, output};
use clap::Subcommand;
use serde_json::{Map, Value, json};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show the strategy in force
    Show {
        #[command(flatten)]
        connection: Connection,
    },
    /// Change the strategy, and wait until the balancers have it
    Set {
        /// least-bytes, least-load, power-of-two, random, rendezvous, round-robin
        strategy: String,
        /// A parameter of the strategy; may be given several times
        #[arg(long = "param", value_name = "KEY=VALUE")]
        parameters: Vec<String>,
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
            let value: Value = connection.client()?.get("/v1/balancing").await?;
            output::object(&value, connection.json);
            Ok(())
        }
        Verb::Set {
            strategy,
            parameters,
            if_generation,
            connection,
        } => {
            let parameters = parameters.iter().map(|text| parameter(text)).collect::<Result<Map<_, _>, _>>()?;
            let body = json!({"strategy": strategy, "parameters": parameters});
            let condition = if_generation.map_or_else(|| "*".to_owned(), |generation| format!("\"{generation}\""));
            let value: Value = connection.client()?.put("/v1/balancing?wait=applied", &body, &condition).await?;
            output::object(&value, connection.json);
            Ok(())
        }
    }
}

/// `half_life_s=30`: the value is JSON where it can be, else text.
fn parameter(text: &str) -> Result<(String, Value), CallError> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| CallError::Usage(format!("--param is KEY=VALUE, not {text:?}")))?;
    Ok((key.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_json_or_text() {
        assert_eq!(parameter("half_life_s=30").unwrap(), ("half_life_s".into(), json!(30)));
        assert_eq!(parameter("by=name").unwrap(), ("by".into(), json!("name")));
        assert_eq!(parameter("half_life_s").unwrap_err().exit_code(), 2);
    }
}
