//! The command line.

use super::{
    Layer, LogFormat,
    layer::{LogLayer, TlsLayer},
};
use clap::{Args, Parser, Subcommand};
use fastchat_wire::Secret;
use fastchat_wire::control::Role;
use std::path::PathBuf;

/// FastChat's data plane: chat server, balancer and host agent in one binary.
///
/// Each of them follows a spec: one JSON document that says what the process should be
/// (where it listens, its store, its peers, its strategy). The spec comes from the control
/// plane (--control, with --token-file) or from a file (--spec). The newest spec is kept in
/// the process's folder, so a process starts and serves while the control plane is away.
#[derive(Debug, Parser)]
#[command(verbatim_doc_comment, name = "fastchatd", version, after_long_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
OPTIONS, ENVIRONMENT, FILE
  A flag beats the environment beats the file of --config. One key has one name in all three:
  --log-level, FASTCHAT_LOG_LEVEL, and in the file

      name = \"s1\"
      control = \"http://127.0.0.1:7100\"
      token_file = \"/etc/fastchat/s1.token\"
      [log]
      level = \"info\"
      [tls]
      certificate = \"/etc/fastchat/tls/fleet.pem\"

  An empty variable counts as not set. A key that nobody knows is an error.

SIGNALS
  SIGTERM, SIGINT   soft stop; hard after 8 s
  again, 1 s later  hard stop

PROBES
  On the spec's probe_listen, plain HTTP: /metrics (Prometheus), /healthz (alive), /readyz (would serve).

EXIT CODES
  0  ended as asked
  1  could not start, could not go on, or was stopped hard; one line on stderr says why
  2  the options are wrong";

const SEE_ALSO: &str = "fastchatd --help tells of the configuration file, signals, probes and exit codes.";

/// A role, or a one-time job.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a chat server: clients sign in here, append to logs and receive pushes.
    #[command(after_help = SEE_ALSO)]
    Server(InstanceArgs),
    /// Run a balancer: it tells each client which server to dial.
    #[command(after_help = SEE_ALSO, args_conflicts_with_subcommands = true)]
    Balancer(BalancerArgs),
    /// Run the host agent: starts, watches and ends this host's servers and balancers
    ///
    /// Its instances are processes of their own: they outlive the agent, and the next agent
    /// takes them over. A crashed instance is started again, after 200 ms at first, after up
    /// to 10 s when it keeps crashing.
    ///
    /// Below --data:
    ///   agent/ledger.json   what was started
    ///   processes/NAME/     spec.json, log, lock and token of each process; logs are rotated
    ///                       at each start and beyond 10 MiB, three old ones are kept
    #[command(verbatim_doc_comment, after_help = SEE_ALSO)]
    Agent(AgentArgs),
    /// Create a database, or bring it to this version's schema.
    #[command(after_help = SEE_ALSO)]
    Migrate(MigrateArgs),
    /// Let no server remove blobs for a while: before a backup.
    ///
    /// When it ends with 0, the database can be copied and then the blobs' folder: what the one
    /// names, the other has. --minutes 0 after the backup lets them go on.
    #[command(verbatim_doc_comment, after_help = SEE_ALSO)]
    PauseSweep(PauseSweepArgs),
}

/// How the process logs.
#[derive(Debug, Args)]
struct LogArgs {
    /// Format of the log on stderr [env: FASTCHAT_LOG_FORMAT] [default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// error, warn, info, debug or trace, or a filter such as info,fastchatd=debug
    /// [env: FASTCHAT_LOG_LEVEL] [default: info]
    #[arg(verbatim_doc_comment, long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Read options from this TOML file [env: FASTCHAT_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What every process is told.
#[derive(Debug, Args)]
struct ProcessArgs {
    /// Name of the process in the fleet, such as s1; for an agent the host's name
    /// [env: FASTCHAT_NAME]
    #[arg(verbatim_doc_comment, long)]
    name: Option<String>,
    /// Follow the spec of the control plane at this address, http://HOST:PORT or https://HOST:PORT
    /// [env: FASTCHAT_CONTROL]
    #[arg(verbatim_doc_comment, long, value_name = "URL", conflicts_with = "spec")]
    control: Option<String>,
    /// File of the bearer token for the control plane, mode 0600; a new token in it is used at
    /// once [env: FASTCHAT_TOKEN_FILE]
    #[arg(verbatim_doc_comment, long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Follow the spec in this file and run without a control plane; a newer generation in it
    /// is taken over live [env: FASTCHAT_SPEC]
    #[arg(verbatim_doc_comment, long, value_name = "FILE")]
    spec: Option<PathBuf>,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// How the process's connections are protected.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
struct TlsArgs {
    /// Speak TLS 1.3, with the certificate in this PEM file (then those between it and the CA); a
    /// new one in it is used at once. An agent hands this and the next ones to its instances
    /// [env: FASTCHAT_TLS_CERTIFICATE]
    #[arg(verbatim_doc_comment, long, value_name = "FILE")]
    tls_certificate: Option<PathBuf>,
    /// PEM file of its private key, closed to other users [env: FASTCHAT_TLS_KEY]
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// The fleet's name, which the certificates of all its processes have; the others are dialled
    /// by their addresses and verified by this name [env: FASTCHAT_TLS_NAME]
    #[arg(verbatim_doc_comment, long, value_name = "NAME")]
    tls_name: Option<String>,
    /// Trust the CA in this PEM file, and not those that this machine trusts [env: FASTCHAT_TLS_CA]
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Listen and dial without TLS beyond this machine: on a network that you trust
    /// [env: FASTCHAT_ALLOW_PLAINTEXT]
    #[arg(verbatim_doc_comment, long)]
    allow_plaintext: bool,
}

/// Options of `server` and `balancer`.
#[derive(Debug, Args)]
pub(crate) struct InstanceArgs {
    #[command(flatten)]
    process: ProcessArgs,
    /// Folder of the process: spec.json, lock
    /// [env: FASTCHAT_STATE] [default: ./fastchat-data/processes/NAME]
    #[arg(verbatim_doc_comment, long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Options of `balancer`.
#[derive(Debug, Args)]
pub(crate) struct BalancerArgs {
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(subcommand)]
    pub(crate) job: Option<BalancerJob>,
}

/// What a balancer's code does without a fleet.
#[derive(Debug, Subcommand)]
pub(crate) enum BalancerJob {
    /// Show what each strategy would make of the servers, on a trace or on synthetic churn
    ///
    /// A trace has one JSON object a line, in order of time:
    ///
    ///   {"at_ms":0,"event":"up","server":"s1","weight":2,"clients":40}
    ///   {"at_ms":15,"event":"arrive","client":1,"hint":"room-7"}
    ///   {"at_ms":900,"event":"depart","client":1}
    ///   {"at_ms":950,"event":"down","server":"s1","back_within_ms":2000}
    ///
    /// weight, clients, client, hint and back_within_ms may be missing. Without client anybody
    /// departs; without back_within_ms the clients of a server that goes down come back by lines
    /// of their own, or not at all.
    #[command(verbatim_doc_comment)]
    Simulate(SimulateArgs),
}

/// Options of `balancer simulate`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub(crate) struct SimulateArgs {
    /// Play this trace
    #[arg(long, value_name = "FILE", group = "source")]
    pub(crate) trace: Option<PathBuf>,
    /// Play clients who come by chance (Poisson) and stay for lognormal times
    #[arg(long, group = "source")]
    synthetic: bool,
    /// Servers of synthetic churn
    #[arg(long, value_name = "N", default_value_t = 3, conflicts_with = "trace")]
    pub(crate) servers: usize,
    /// Their weights, such as 1,1,2, instead of --servers
    #[arg(long, value_name = "W,W…", value_delimiter = ',', conflicts_with_all = ["trace", "servers"])]
    pub(crate) weights: Option<Vec<f64>>,
    /// Clients that come in a second, on average
    #[arg(long, value_name = "N", default_value_t = 10.0, conflicts_with = "trace")]
    pub(crate) clients_per_s: f64,
    /// Seconds that one stays, on average
    #[arg(long, value_name = "S", default_value_t = 120.0, conflicts_with = "trace")]
    pub(crate) stay_s: f64,
    /// Seconds that all of it takes
    #[arg(long, value_name = "S", default_value_t = 600.0, conflicts_with = "trace")]
    pub(crate) for_s: f64,
    /// Server s1 dies so many seconds from the beginning; its clients are back within 2 s, it is after 10 s
    #[arg(long, value_name = "S", conflicts_with = "trace")]
    pub(crate) dies_at_s: Option<f64>,
    /// Part of the clients that have a hint, 0 to 1
    #[arg(long, value_name = "PART", default_value_t = 0.0, conflicts_with = "trace")]
    pub(crate) hinted: f64,
    /// Only this strategy; may be given several times
    #[arg(long = "strategy", value_name = "NAME")]
    pub(crate) strategies: Vec<String>,
    /// A parameter, for each strategy that has it; may be given several times
    #[arg(long = "param", value_name = "KEY=NUMBER")]
    pub(crate) parameters: Vec<String>,
    /// One seed gives one result
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Print one JSON object, with the imbalance over time
    #[arg(long)]
    pub(crate) json: bool,
    /// Write a picture of the imbalance over time
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

/// Options of `agent`.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    #[command(flatten)]
    process: ProcessArgs,
    /// Folder of the host's data [env: FASTCHAT_DATA] [default: ./fastchat-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// End the instances too when the agent is told to end; otherwise they run on
    /// [env: FASTCHAT_STOP_CHILDREN]
    #[arg(verbatim_doc_comment, long)]
    stop_children: bool,
}

/// Options of `migrate`, and of every one-time job on a database.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// The database, such as sqlite:./fastchat-data/fastchat.db or
    /// postgres://USER@HOST/NAME; one with a password belongs into the environment
    /// [env: FASTCHAT_DATABASE]
    #[arg(verbatim_doc_comment, long, value_name = "URL")]
    database: Option<String>,
    #[command(flatten)]
    log: LogArgs,
}

/// Options of `pause-sweep`.
#[derive(Debug, Args)]
pub(crate) struct PauseSweepArgs {
    /// For so many minutes from now; 0 ends the pause
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=10_080))]
    minutes: u64,
    #[command(flatten)]
    database: MigrateArgs,
}

/// Which subcommand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// A role.
    Run(Role),
    /// A one-time job.
    Migrate,
    /// Another one: for so many minutes.
    PauseSweep(u64),
}

impl Command {
    /// The subcommand and what its flags say.
    pub(super) fn into_layer(self) -> (Kind, Layer) {
        match self {
            Self::Server(args) => (Kind::Run(Role::Server), args.into()),
            Self::Balancer(args) => (Kind::Run(Role::Balancer), args.instance.into()),
            Self::Agent(args) => (Kind::Run(Role::Agent), args.into()),
            Self::Migrate(args) => (Kind::Migrate, args.into()),
            Self::PauseSweep(args) => (Kind::PauseSweep(args.minutes), args.database.into()),
        }
    }
}

impl From<LogArgs> for Layer {
    fn from(args: LogArgs) -> Self {
        Self {
            config: args.config,
            log: LogLayer {
                format: args.log_format,
                level: args.log_level,
            },
            ..Self::default()
        }
    }
}

impl From<MigrateArgs> for Layer {
    fn from(args: MigrateArgs) -> Self {
        Self {
            database: args.database.map(Secret::new),
            ..args.log.into()
        }
    }
}

impl From<ProcessArgs> for Layer {
    fn from(args: ProcessArgs) -> Self {
        Self {
            name: args.name,
            control: args.control,
            token_file: args.token_file,
            spec: args.spec,
            allow_plaintext: args.tls.allow_plaintext.then_some(true),
            tls: TlsLayer {
                certificate: args.tls.tls_certificate,
                key: args.tls.tls_key,
                name: args.tls.tls_name,
                ca: args.tls.tls_ca,
            },
            ..args.log.into()
        }
    }
}

impl From<InstanceArgs> for Layer {
    fn from(args: InstanceArgs) -> Self {
        Self {
            state: args.state,
            ..args.process.into()
        }
    }
}

impl From<AgentArgs> for Layer {
    fn from(args: AgentArgs) -> Self {
        Self {
            data: args.data,
            stop_children: args.stop_children.then_some(true),
            ..args.process.into()
        }
    }
}
