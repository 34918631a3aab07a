//! `fastchat-admin balancing preview` and `trace`: foresight, and what it is fed with.

use super::client::CallError;
use super::{Connection, output};
use crate::routes::preview::{BODY_BYTES_MAX, TOO_LARGE};
use clap::Args;
use fastchat_balancing::{
    simulate::{Outcome, svg, table},
    strategy::{STRATEGIES, deal},
};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  fastchat-admin balancing preview --clients-per-s 50 --dies-at-s 300
  fastchat-admin balancing trace > trace.jsonl
  fastchat-admin balancing preview --trace trace.jsonl --strategy least-load --strategy random --svg imbalance.svg

Without --trace clients come by chance (Poisson) and stay for lognormal times, on the servers of this fleet unless
--servers or --weights says otherwise. Nothing of the fleet changes. A trace is JSON, one object a line; an error names
the line. `fastchatd balancer simulate --help` has its format, and takes larger ones.";

/// What is to be played.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Preview {
    /// Play this trace; - reads it from stdin
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    churn: Churn,
    /// Only this strategy; may be given several times
    #[arg(long = "strategy", value_name = "NAME")]
    strategies: Vec<String>,
    /// A parameter, for each strategy that has it; may be given several times
    #[arg(long = "param", value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// One seed gives one result
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write a picture of the imbalance over time
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Synthetic churn.
#[derive(Debug, Clone, Args)]
struct Churn {
    /// Servers, of equal weight
    #[arg(long, value_name = "N", conflicts_with = "trace", value_parser = clap::value_parser!(u16).range(1..))]
    servers: Option<u16>,
    /// Their weights, such as 1,1,2, instead of --servers
    #[arg(long, value_name = "W,W…", value_delimiter = ',', value_parser = number, conflicts_with_all = ["trace", "servers"])]
    weights: Option<Vec<f64>>,
    /// Clients that come in a second, on average [default: 10]
    #[arg(long, value_name = "N", conflicts_with = "trace", value_parser = number)]
    clients_per_s: Option<f64>,
    /// Seconds that one stays, on average [default: 120]
    #[arg(long, value_name = "S", conflicts_with = "trace", value_parser = number)]
    stay_s: Option<f64>,
    /// Seconds that all of it takes [default: 600]
    #[arg(long, value_name = "S", conflicts_with = "trace", value_parser = number)]
    for_s: Option<f64>,
    /// The first server dies so many seconds from the beginning; its clients are back within 2 s, it is after 10 s
    #[arg(long, value_name = "S", conflicts_with = "trace", value_parser = number)]
    dies_at_s: Option<f64>,
    /// Part of the clients that have a hint, 0 to 1 [default: 0]
    #[arg(long, value_name = "PART", conflicts_with = "trace", value_parser = number)]
    hinted: Option<f64>,
}

/// JSON has no other numbers.
fn number(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| format!("{text:?} is not a number"))
}

impl Churn {
    /// What is given; the control plane knows the rest.
    fn document(&self) -> Value {
        let mut document = json!({});
        let equal = self.servers.map(|servers| vec![1.0; servers.into()]);
        if let Some(weights) = self.weights.clone().or(equal) {
            document["weights"] = weights.into();
        }
        for (key, value) in [
            ("clients_per_s", self.clients_per_s),
            ("stay_s", self.stay_s),
            ("for_s", self.for_s),
            ("dies_at_s", self.dies_at_s),
            ("hinted", self.hinted),
        ] {
            if let Some(value) = value {
                document[key] = value.into();
            }
        }
        document
    }
}

impl Preview {
    fn request(&self) -> Result<Value, CallError> {
        let all = || STRATEGIES.iter().map(|entry| entry.info.name.to_owned()).collect();
        let strategies = if self.strategies.is_empty() {
            all()
        } else {
            self.strategies.clone()
        };
        let given = self.parameters.iter().map(|text| super::balancing::parameter(text));
        let parameters = deal(&strategies, &given.collect::<Result<_, _>>()?);
        let mut request = json!({"strategies": strategies, "parameters": parameters, "seed": self.seed});
        match &self.trace {
            Some(file) => request["trace"] = read(file)?.into(),
            None => request["synthetic"] = self.churn.document(),
        }
        // Asked here: whoever is refused while still sending hardly hears why.
        if request.to_string().len() > BODY_BYTES_MAX {
            return Err(too_large(self.trace.as_deref()));
        }
        Ok(request)
    }
}

fn too_large(trace: Option<&Path>) -> CallError {
    let name = trace.map_or_else(|| "the request".to_owned(), |file| file.display().to_string());
    CallError::Failed(format!("{name} is too large: {TOO_LARGE}"))
}

fn read(file: &Path) -> Result<String, CallError> {
    let mut text = Vec::new();
    let most = BODY_BYTES_MAX as u64 + 1;
    let done = if file == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut text)
    } else {
        File::open(file).and_then(|file| file.take(most).read_to_end(&mut text))
    };
    done.map_err(|error| CallError::Usage(format!("can't read the trace {}: {error}", file.display())))?;
    if text.len() > BODY_BYTES_MAX {
        return Err(too_large(Some(file)));
    }
    String::from_utf8(text).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        CallError::Failed(format!("{} is no trace: line {line}: it is not UTF-8", file.display()))
    })
}

/// `fastchat-admin balancing preview`.
pub(super) async fn run(preview: &Preview, connection: &Connection) -> Result<(), CallError> {
    #[derive(serde::Deserialize)]
    struct Answer {
        items: Vec<Outcome>,
    }
    let request = preview.request()?;
    let answer: Answer = connection.client()?.post("/v1/balancing/preview", &request).await?;
    if let Some(file) = &preview.svg {
        std::fs::write(file, svg(&answer.items))
            .map_err(|error| CallError::Failed(format!("can't write the picture to {}: {error}", file.display())))?;
    }
    if connection.json {
        output::json(&json!({"items": answer.items}));
    } else {
        output::line(&table(&answer.items));
    }
    Ok(())
}

/// `fastchat-admin balancing trace`: line by line to stdout.
pub(super) async fn record(balancer: Option<String>, connection: &Connection) -> Result<(), CallError> {
    let client = connection.client()?;
    let name = match balancer {
        Some(name) => name,
        None => ready(&client.list("/v1/balancers").await?)?,
    };
    client
        .text(&format!("/v1/balancers/{name}/trace"), |part| {
            // A reader that left is no error: `head` has seen enough.
            let written = io::stdout().lock().write_all(part);
            written.is_ok()
        })
        .await
}

/// The first balancer that can be asked: each sees the whole fleet.
fn ready(balancers: &[Value]) -> Result<String, CallError> {
    let ready = balancers.iter().find(|balancer| balancer["state"] == "ready");
    let name = ready.and_then(|balancer| balancer["name"].as_str());
    name.map(str::to_owned)
        .ok_or_else(|| CallError::Failed("no balancer is ready: see `fastchat-admin balancers list`".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        preview: Preview,
    }

    fn request(line: &str) -> Result<Value, CallError> {
        let words = std::iter::once("preview").chain(line.split_whitespace());
        Line::try_parse_from(words).unwrap().preview.request()
    }

    #[test]
    fn only_what_is_given_is_asked_for_and_parameters_go_where_they_are_known() {
        let asked = request("--servers 2 --for-s 60 --param half_life_s=5 --strategy least-bytes --strategy random").unwrap();
        assert_eq!(
            asked,
            json!({
                "strategies": ["least-bytes", "random"],
                "parameters": {"least-bytes": {"half_life_s": 5}, "random": {}},
                "seed": 1,
                "synthetic": {"weights": [1.0, 1.0], "for_s": 60.0},
            })
        );
        assert_eq!(request("").unwrap()["synthetic"], json!({}), "the fleet's servers");
    }

    #[test]
    fn the_whole_command_line_is_sound() {
        <crate::cli::Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_trace_and_synthetic_churn_exclude_each_other() {
        let words = ["preview", "--trace", "x", "--for-s", "60"];
        assert!(Line::try_parse_from(words).is_err());
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for word in ["NaN", "inf", "many"] {
            let words = ["preview", "--weights", word];
            assert!(Line::try_parse_from(words).is_err(), "{word}");
        }
    }

    #[test]
    fn a_trace_that_cannot_be_sent_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("trace.jsonl");
        let asked = || request(&format!("--trace {}", file.display()));
        let missing = asked().unwrap_err();
        assert_eq!(missing.exit_code(), 2);
        assert!(missing.to_string().starts_with("can't read the trace "), "{missing}");
        std::fs::write(&file, b"{}\n\xff").unwrap();
        assert!(asked().unwrap_err().to_string().ends_with("line 2: it is not UTF-8"));
        // As a JSON string it is longer than in its file.
        let frame = request("--trace /dev/null").unwrap().to_string().len();
        let most = BODY_BYTES_MAX - frame;
        std::fs::write(&file, vec![b' '; most]).unwrap();
        assert!(asked().is_ok());
        std::fs::write(&file, vec![b' '; most + 1]).unwrap();
        let refused = asked().unwrap_err();
        assert_eq!(refused.exit_code(), 1);
        assert!(refused.to_string().contains("fastchatd balancer simulate"), "{refused}");
    }
}
