//! What a process is told at its start: a flag beats the environment beats the file.
//!
//! One key has one name everywhere: `log.level` in the file is `FASTCHAT_LOG_LEVEL`
//! in the environment, `--log-level` as a flag and `log.level` in [`Layer`].
//! Pure but for the reading of the file; whatever is wrong is one [`ConfigError`].

mod cli;
mod layer;
mod protection;

pub(crate) use cli::{BalancerArgs, BalancerJob, Cli, Command, SimulateArgs};
pub(crate) use layer::Layer;
pub(crate) use protection::{Protection, Tls};

use fastchat_tls::is_loopback_host;
use fastchat_wire::Secret;
use fastchat_wire::control::Role;
use std::path::{Path, PathBuf};
use tracing_subscriber::filter::{LevelFilter, Targets};

/// Where a folder of data is kept unless told otherwise.
const DATA_DEFAULT: &str = "./fastchat-data";
/// Longest name of a process.
const NAME_CHARS_MAX: usize = 64;

/// What the start-up options lack or contradict; exit code 2.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file can't be read.
    #[error("can't read the configuration file {path}: {reason}; check --config")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The file isn't what it should be.
    #[error("the configuration file {path} is wrong: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Line, and what is wrong with it.
        reason: String,
    },
    /// A variable of the environment isn't what it should be.
    #[error("the environment variable {key} is wrong: {reason}")]
    Environment {
        /// Its name.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// An option is missing.
    #[error("{0} is missing; give it as a flag, in the environment or in the configuration file (see --help)")]
    Missing(&'static str),
    /// An option has a value that can't be.
    #[error("{key} can't be {value:?}: {reason}")]
    Invalid {
        /// Its flag.
        key: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        reason: &'static str,
    },
    /// Two sources of the spec.
    #[error("--control and --spec exclude each other; give one of them")]
    TwoSources,
}

/// Where a process gets its spec.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// From the control plane.
    Control {
        /// `http://host:port` or `https://host:port`, without a slash at the end.
        url: String,
        /// The file of the bearer token.
        token_file: PathBuf,
    },
    /// From a file, without a control plane.
    File(PathBuf),
}

/// How the process logs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Log {
    /// One line of text or one JSON object for each event.
    pub(crate) format: LogFormat,
    /// A level, or a filter as `tracing-subscriber` has them: `info,fastchatd=debug`.
    pub(crate) level: String,
}

/// Format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one object a line.
    Json,
}

impl LogFormat {
    /// As the flag has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// What every role is told at its start.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Process {
    /// Its role.
    pub(crate) role: Role,
    /// Its name in the fleet.
    pub(crate) name: String,
    /// Where its spec comes from.
    pub(crate) source: Source,
    /// Its folder: `spec.json`, `lock`, `log`. Absolute.
    pub(crate) state: PathBuf,
    /// How it logs.
    pub(crate) log: Log,
    /// How its connections are protected.
    pub(crate) protection: Protection,
}

/// What the agent is told beyond [`Process`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Agent {
    /// The host's data folder. Absolute.
    pub(crate) data: PathBuf,
    /// End the instances too when the agent ends.
    pub(crate) stop_children: bool,
}

/// What `migrate` is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Migrate {
    /// The database's URL, which may hold a password.
    pub(crate) database: Secret,
    /// How it logs.
    pub(crate) log: Log,
}

/// What `pause-sweep` is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PauseSweep {
    /// The database's URL, which may hold a password.
    pub(crate) database: Secret,
    /// From now; 0 ends the pause.
    pub(crate) minutes: u64,
    /// How it logs.
    pub(crate) log: Log,
}

/// A subcommand with all that it needs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Config {
    /// Run a chat server.
    Server(Process),
    /// Run a balancer.
    Balancer(Process),
    /// Run the host agent.
    Agent(Process, Agent),
    /// Create or migrate a database.
    Migrate(Migrate),
    /// Let no server remove blobs for a while.
    PauseSweep(PauseSweep),
}

impl Config {
    /// Puts flags over the environment over the file.
    ///
    /// # Errors
    /// Something is missing, contradictory or not what it should be.
    pub(crate) fn load(command: Command, environment: Layer) -> Result<Self, ConfigError> {
        let (kind, flags) = command.into_layer();
        let above = flags.over(environment);
        let file = above.config.as_deref().map(Layer::from_file).transpose()?.unwrap_or_default();
        Self::resolve(kind, above.over(file))
    }

    fn resolve(kind: cli::Kind, layer: Layer) -> Result<Self, ConfigError> {
        let log = Log {
            format: layer.log.format.unwrap_or_default(),
            level: layer.log.level.clone().unwrap_or_else(|| "info".into()),
        };
        if !valid_filter(&log.level) {
            return Err(ConfigError::Invalid {
                key: "--log-level",
                value: log.level,
                reason: "give error, warn, info, debug or trace, or a filter such as info,fastchatd=debug",
            });
        }
        let role = match kind {
            cli::Kind::Migrate => {
                let database = layer.database.ok_or(ConfigError::Missing("--database"))?;
                return Ok(Self::Migrate(Migrate { database, log }));
            }
            cli::Kind::PauseSweep(minutes) => {
                let database = layer.database.ok_or(ConfigError::Missing("--database"))?;
                return Ok(Self::PauseSweep(PauseSweep { database, minutes, log }));
            }
            cli::Kind::Run(role) => role,
        };
        let name = layer.name.clone().ok_or(ConfigError::Missing("--name"))?;
        if !valid_name(&name) {
            return Err(ConfigError::Invalid {
                key: "--name",
                value: name,
                reason: "a name has 1 to 64 letters, digits, dots, hyphens and underscores, and starts with a letter or digit",
            });
        }
        let data = absolute("--data", layer.data.as_deref().unwrap_or(Path::new(DATA_DEFAULT)))?;
        let state = match (&layer.state, role) {
            (Some(state), Role::Server | Role::Balancer) => absolute("--state", state)?,
            (_, Role::Agent) | (None, _) => state_folder(&data, &name),
        };
        let process = Process {
            role,
            name,
            source: source(&layer)?,
            state,
            log,
            protection: Protection::resolve(&layer)?,
        };
        Ok(match role {
            Role::Server => Self::Server(process),
            Role::Balancer => Self::Balancer(process),
            Role::Agent => Self::Agent(
                process,
                Agent {
                    data,
                    stop_children: layer.stop_children.unwrap_or(false),
                },
            ),
        })
    }

    /// How the process logs.
    pub(crate) fn log(&self) -> &Log {
        match self {
            Self::Server(process) | Self::Balancer(process) | Self::Agent(process, _) => &process.log,
            Self::Migrate(migrate) => &migrate.log,
            Self::PauseSweep(pause) => &pause.log,
        }
    }
}

/// The folder of a process below its host's data folder.
pub(crate) fn state_folder(data: &Path, name: &str) -> PathBuf {
    data.join("processes").join(name)
}

/// Whether a name can be one of a process: it is also the name of a folder.
pub(crate) fn valid_name(name: &str) -> bool {
    name.len() <= NAME_CHARS_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// Whether a filter says what it seems to: a lone word that is no level would silence everything.
fn valid_filter(filter: &str) -> bool {
    let whole = filter.parse::<Targets>().is_ok();
    whole
        && filter
            .split(',')
            .all(|part| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok())
}

fn absolute(key: &'static str, path: &Path) -> Result<PathBuf, ConfigError> {
    std::path::absolute(path).map_err(|_| ConfigError::Invalid {
        key,
        value: path.display().to_string(),
        reason: "give the path of a folder",
    })
}

fn source(layer: &Layer) -> Result<Source, ConfigError> {
    match (&layer.control, &layer.spec) {
        (Some(_), Some(_)) => Err(ConfigError::TwoSources),
        (None, None) => Err(ConfigError::Missing("--control (with --token-file) or --spec")),
        (None, Some(file)) => Ok(Source::File(file.clone())),
        (Some(url), None) => {
            let plain = url.strip_prefix("http://");
            let host = plain
                .or_else(|| url.strip_prefix("https://"))
                .map(|rest| rest.trim_end_matches('/'));
            if host.is_none_or(|host| host.is_empty() || host.contains(['/', '?', '#', '@', ' '])) {
                return Err(ConfigError::Invalid {
                    key: "--control",
                    value: url.clone(),
                    reason: "give http://HOST:PORT or https://HOST:PORT",
                });
            }
            let name = plain.map(|rest| rest.rsplit_once(':').map_or(rest, |(host, _)| host));
            if name.is_some_and(|name| !is_loopback_host(name)) && !layer.allow_plaintext.unwrap_or(false) {
                return Err(ConfigError::Invalid {
                    key: "--control",
                    value: url.clone(),
                    reason: "it is not on this machine, and the token would travel in the clear; give https://HOST:PORT, or --allow-plaintext on a network that you trust",
                });
            }
            let token_file = layer.token_file.clone().ok_or(ConfigError::Missing("--token-file"))?;
            Ok(Source::Control {
                url: url.trim_end_matches('/').to_owned(),
                token_file,
            })
        }
    }
}

#[cfg(test)]
mod tests;
