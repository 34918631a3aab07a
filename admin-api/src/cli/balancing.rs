//! `fastchat-admin balancing`.

use super::client::CallError;
use super::preview::{self, Preview};
use super::{Connection, operations, output};
use crate::extract::span;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show the strategy in force
    Show {
        #[command(flatten)]
        connection: Connection,
    },
    /// Change the strategy, and wait until the balancers have it
    #[command(after_help = SET_EXAMPLES)]
    Set {
        /// least-bytes, least-load, power-of-two, random, rendezvous, round-robin
        strategy: String,
        /// A parameter of the strategy; may be given several times
        #[arg(long = "param", value_name = "KEY=VALUE")]
        parameters: Vec<String>,
        /// Only if the document is still of this generation
        #[arg(long, value_name = "GENERATION")]
        if_generation: Option<u64>,
        /// Show what would be, and change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        net: Net,
        #[command(flatten)]
        connection: Connection,
    },
    /// Confirm the strategy on trial: it stands
    Confirm {
        #[command(flatten)]
        connection: Connection,
    },
    /// Give up the strategy on trial, and go back to the former one
    Revert {
        #[command(flatten)]
        connection: Connection,
    },
    /// Have servers give clients away until each has its share, and wait until they have
    Rebalance {
        /// Show how many each would give away, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Clients asked to move per second, by all servers together [default: 100]
        #[arg(long, value_name = "N")]
        clients_per_s: Option<u64>,
        /// Nobody is asked after this time [default: what the rate needs, and a minute]
        #[arg(long, value_name = "TIME", value_parser = seconds)]
        within: Option<u64>,
        /// Who came more recently is not asked [default: 60s]
        #[arg(long, value_name = "TIME", value_parser = seconds)]
        cool_down: Option<u64>,
        /// Do not wait until it is over
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Foresee what each strategy would make of the servers, by a trace or by synthetic churn
    #[command(after_help = preview::EXAMPLES)]
    Preview {
        #[command(flatten)]
        preview: Box<Preview>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Print who came and went lately, as a trace for `preview` and `fastchatd balancer simulate`
    Trace {
        /// What this balancer has recorded [default: the first that is ready: each sees the whole fleet]
        #[arg(long, value_name = "NAME")]
        balancer: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
}

const SET_EXAMPLES: &str = "\
Examples:
  fastchat-admin balancing set random --confirm-within 60s --guard-max-imbalance 0.5 --reason 'trying it'
  fastchat-admin balancing confirm
  fastchat-admin balancing revert

With --confirm-within or a guard the strategy is on trial: the balancers go back by themselves where nobody confirms it
in time or the guard is breached, even without the control plane.";

/// What brings the former strategy back.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Net {
    /// Back to the former strategy, unless it is confirmed in this time
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    confirm_within: Option<u64>,
    /// Back, where the fullest server stays further above its fair share than this part of it
    #[arg(long, value_name = "RATIO")]
    guard_max_imbalance: Option<f64>,
    /// Back, where more than 1 of 100 assigns takes longer (ms)
    #[arg(long, value_name = "MS")]
    guard_max_assign_p99_ms: Option<f64>,
    /// Back, where a larger part of the assigns finds no server
    #[arg(long, value_name = "RATIO")]
    guard_max_refusal_rate: Option<f64>,
}

impl Net {
    /// Puts it into the document.
    fn spread(self, body: &mut Value) {
        if let Some(within) = self.confirm_within {
            body["confirm_within_s"] = within.into();
        }
        for (key, value) in [
            ("max_imbalance", self.guard_max_imbalance),
            ("max_assign_p99_ms", self.guard_max_assign_p99_ms),
            ("max_refusal_rate", self.guard_max_refusal_rate),
        ] {
            if let Some(value) = value {
                body["guard"][key] = value.into();
            }
        }
    }
}

/// `60s`, `5m`: whole seconds.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let span = span(text).filter(|span| span.subsec_nanos() == 0);
    span.map(|span| span.as_secs())
        .ok_or_else(|| format!("{text:?} is not a time in whole seconds, such as 60s"))
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
            dry_run,
            net,
            connection,
        } => {
            let parameters = parameters.iter().map(|text| parameter(text)).collect::<Result<Map<_, _>, _>>()?;
            let mut body = json!({"strategy": strategy, "parameters": parameters});
            net.spread(&mut body);
            let condition = if_generation.map_or_else(|| "*".to_owned(), |generation| format!("\"{generation}\""));
            let path = format!("/v1/balancing?wait=applied&dry_run={dry_run}");
            let value: Value = connection.client()?.put(&path, &body, &condition).await?;
            output::object(&value, connection.json);
            Ok(())
        }
        Verb::Preview { preview, connection } => preview::run(&preview, &connection).await,
        Verb::Trace { balancer, connection } => preview::record(balancer, &connection).await,
        Verb::Confirm { connection } => end_trial(&connection, "confirm").await,
        Verb::Revert { connection } => end_trial(&connection, "revert").await,
        Verb::Rebalance {
            dry_run,
            clients_per_s,
            within,
            cool_down,
            no_wait,
            connection,
        } => {
            let client = connection.client()?;
            let mut body = json!({"dry_run": dry_run});
            for (key, value) in [("clients_per_s", clients_per_s), ("within_s", within), ("cool_down_s", cool_down)] {
                if let Some(value) = value {
                    body[key] = value.into();
                }
            }
            let answer: Value = client.post("/v1/balancing/rebalance", &body).await?;
            if dry_run {
                output::object(&answer, connection.json);
                return Ok(());
            }
            operations::finish(&client, &connection, answer, no_wait).await
        }
    }
}

async fn end_trial(connection: &Connection, how: &str) -> Result<(), CallError> {
    let value: Value = connection.client()?.post(&format!("/v1/balancing/{how}"), &json!({})).await?;
    output::object(&value, connection.json);
    Ok(())
}

/// `half_life_s=30`: the value is JSON where it can be, else text.
pub(super) fn parameter(text: &str) -> Result<(String, Value), CallError> {
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

    #[test]
    fn times_are_whole_seconds() {
        assert_eq!(seconds("60s"), Ok(60));
        assert!(seconds("1500ms").is_err());
        assert!(seconds("soon").is_err());
    }
}
