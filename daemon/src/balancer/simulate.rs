//! `fastchatd balancer simulate`: every strategy on one trace, without a fleet.

use crate::config::SimulateArgs;
use anyhow::{Context, bail};
use fastchat_balancing::{
    simulate::{Churn, Outcome, Trace, simulate, svg},
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
        let balancing = |strategy: String| -> anyhow::Result<Balancing> {
            let parameters = parameters(args, &strategy)?;
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
            balancings: strategies(args).into_iter().map(balancing).collect::<Result<_, _>>()?,
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

/// What is given for this strategy: with several strategies, what it knows of.
fn parameters(args: &SimulateArgs, strategy: &str) -> anyhow::Result<BTreeMap<String, serde_json::Value>> {
    let mut parameters = BTreeMap::new();
    for text in &args.parameters {
        let given = text
            .split_once('=')
            .and_then(|(key, value)| Some((key, value.parse::<f64>().ok()?)));
        let Some((key, value)) = given else {
            bail!("--param is KEY=NUMBER, not {text:?}");
        };
        let known = |name: &str| strategy::check(name, &[(key.to_owned(), value.into())].into());
        // Where nobody knows it, the strategy's own refusal says so.
        let alone = args.strategies.len() == 1 || STRATEGIES.iter().all(|entry| known(entry.info.name).is_err());
        if alone || known(strategy).is_ok() {
            parameters.insert(key.to_owned(), value.into());
        }
    }
    Ok(parameters)
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn print(outcomes: &[Outcome], json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(&serde_json::json!({ "items": outcomes }))?);
        return Ok(());
    }
    println!("imbalance: what the fullest server has over its part");
    println!(
        "{:<14} {:>9} {:>9} {:>9} {:>10} {:>9}",
        "strategy", "mean", "p99", "max", "arrivals", "refused"
    );
    for outcome in outcomes {
        let [mean, p99, max] = [outcome.mean, outcome.p99, outcome.max].map(|imbalance| format!("{:.1} %", 100.0 * imbalance));
        let Outcome {
            strategy,
            arrivals,
            refused,
            ..
        } = outcome;
        println!("{strategy:<14} {mean:>9} {p99:>9} {max:>9} {arrivals:>10} {refused:>9}");
    }
    Ok(())
}
