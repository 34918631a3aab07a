//! `fastchatd balancer simulate`: every strategy on one trace, without a fleet.

use crate::config::SimulateArgs;
use anyhow::{Context, bail};
use fastchat_balancing::{
    simulate::{Churn, Outcome, Trace, simulate, svg, table},
    strategy::{self, STRATEGIES},
};
use fastchat_wire::control::Balancing;
use std::{collections::BTreeMap, fs, path::Path};

/// Largest trace that is read.
const TRACE_BYTES_MAX: u64 = 1 << 30;
/// Most clients of synthetic churn.
const CLIENTS_MAX: u32 = 1_000_000;
/// What is more is refused anyway.
const SERVERS_SHOWN_MAX: usize = 1_000_000;

/// What is to be played.
pub(crate) struct Simulation<'a> {
    args: &'a SimulateArgs,
    /// Where it isn't a trace.
    churn: Option<Churn>,
    balancings: Vec<Balancing>,
}

impl<'a> Simulation<'a> {
    /// Checks the options.
    ///
    /// # Errors
    /// One of them can't be.
    pub(crate) fn new(args: &'a SimulateArgs) -> anyhow::Result<Self> {
        let strategies = strategies(args);
        let mut parameters = strategy::deal(&strategies, &given(args)?);
        let balancing = |strategy: String| -> anyhow::Result<Balancing> {
            let parameters = parameters.remove(&strategy).unwrap_or_default();
            if let Err(faults) = strategy::check(&strategy, &parameters) {
                let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
                bail!("{}", faults.join("; "));
            }
            Ok(Balancing {
                strategy,
                parameters,
                generation: 0,
            })
        };
        Ok(Self {
            args,
            churn: if args.trace.is_some() { None } else { Some(churn(args)?) },
            balancings: strategies.into_iter().map(balancing).collect::<Result<_, _>>()?,
        })
    }

    /// Plays it, and prints what became of the servers.
    ///
    /// # Errors
    /// The trace can't be read, or the picture can't be written.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let seed = self.args.seed;
        let trace = match (&self.args.trace, &self.churn) {
            (Some(file), _) => read(file)?,
            (None, Some(churn)) => churn.trace(seed),
            (None, None) => bail!("give --trace or --synthetic"),
        };
        let play = |balancing| simulate(&trace, balancing, seed);
        let outcomes: Result<Vec<_>, _> = self.balancings.iter().map(play).collect();
        let outcomes = outcomes.map_err(|faults| anyhow::anyhow!("{}", faults.iter().map(ToString::to_string).collect::<String>()))?;
        if let Some(file) = &self.args.svg {
            fs::write(file, svg(&outcomes)).with_context(|| format!("can't write the picture to {}", file.display()))?;
        }
        print(&outcomes, self.args.json)
    }
}

fn read(file: &Path) -> anyhow::Result<Trace> {
    let cannot = || format!("can't read the trace {}", file.display());
    let bytes = fs::metadata(file).with_context(cannot)?.len();
    if bytes > TRACE_BYTES_MAX {
        bail!(
            "the trace {} has {bytes} bytes: at most {TRACE_BYTES_MAX}; give a part of it",
            file.display()
        );
    }
    let text = fs::read_to_string(file).with_context(cannot)?;
    Trace::parse(&text).with_context(|| format!("{} is no trace", file.display()))
}

fn churn(args: &SimulateArgs) -> anyhow::Result<Churn> {
    let churn = Churn {
        weights: args
            .weights
            .clone()
            .unwrap_or_else(|| vec![1.0; args.servers.min(SERVERS_SHOWN_MAX)]),
        clients_per_s: args.clients_per_s,
        stay_s: args.stay_s,
        for_s: args.for_s,
        dies_at_s: args.dies_at_s,
        hinted: args.hinted,
    };
    churn.check(CLIENTS_MAX)?;
    Ok(churn)
}

fn strategies(args: &SimulateArgs) -> Vec<String> {
    if args.strategies.is_empty() {
        STRATEGIES.iter().map(|entry| entry.info.name.to_owned()).collect()
    } else {
        args.strategies.clone()
    }
}

/// What is given, by key.
fn given(args: &SimulateArgs) -> anyhow::Result<BTreeMap<String, serde_json::Value>> {
    let parameter = |text: &String| {
        let given = text.split_once('=');
        let given = given.and_then(|(key, value)| Some((key.to_owned(), value.parse::<f64>().ok()?.into())));
        given.with_context(|| format!("--param is KEY=NUMBER, not {text:?}"))
    };
    args.parameters.iter().map(parameter).collect()
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn print(outcomes: &[Outcome], json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(&serde_json::json!({ "items": outcomes }))?);
    } else {
        println!("{}", table(outcomes));
    }
    Ok(())
}
