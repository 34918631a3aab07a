//! One source of options: the flags, the environment, or the file.

use super::{ConfigError, LogFormat};
use clap::ValueEnum;
use fastchat_wire::Secret;
use serde::Deserialize;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// What one source says; what it doesn't say is left to the one below.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Layer {
    /// The file below; never in the file itself.
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
    /// Name of the process.
    pub(crate) name: Option<String>,
    /// The control plane.
    pub(crate) control: Option<String>,
    /// File of the bearer token.
    pub(crate) token_file: Option<PathBuf>,
    /// File of the spec.
    pub(crate) spec: Option<PathBuf>,
    /// Folder of the process.
    pub(crate) state: Option<PathBuf>,
    /// Folder of the host.
    pub(crate) data: Option<PathBuf>,
    /// The agent's instances end with it.
    pub(crate) stop_children: Option<bool>,
    /// URL of the database to migrate.
    pub(crate) database: Option<Secret>,
    /// Be plain beyond this machine.
    pub(crate) allow_plaintext: Option<bool>,
    /// Certificates.
    pub(crate) tls: TlsLayer,
    /// The log.
    pub(crate) log: LogLayer,
}

/// Section `tls`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TlsLayer {
    /// File of the certificate chain.
    pub(crate) certificate: Option<PathBuf>,
    /// File of its private key.
    pub(crate) key: Option<PathBuf>,
    /// The fleet's name.
    pub(crate) name: Option<String>,
    /// File of the CA.
    pub(crate) ca: Option<PathBuf>,
}

/// Section `log`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogLayer {
    /// Its format.
    pub(crate) format: Option<LogFormat>,
    /// Its level or filter.
    pub(crate) level: Option<String>,
}

impl Layer {
    /// This source where it says something, the one below where it doesn't.
    ///
    /// Where the spec comes from is one decision: `--spec` here beats
    /// `control` below.
    pub(crate) fn over(self, below: Self) -> Self {
        let (control, spec) = if self.control.is_some() || self.spec.is_some() {
            (self.control, self.spec)
        } else {
            (below.control, below.spec)
        };
        Self {
            config: self.config.or(below.config),
            name: self.name.or(below.name),
            control,
            token_file: self.token_file.or(below.token_file),
            spec,
            state: self.state.or(below.state),
            data: self.data.or(below.data),
            stop_children: self.stop_children.or(below.stop_children),
            database: self.database.or(below.database),
            allow_plaintext: self.allow_plaintext.or(below.allow_plaintext),
            tls: TlsLayer {
                certificate: self.tls.certificate.or(below.tls.certificate),
                key: self.tls.key.or(below.tls.key),
                name: self.tls.name.or(below.tls.name),
                ca: self.tls.ca.or(below.tls.ca),
            },
            log: LogLayer {
                format: self.log.format.or(below.log.format),
                level: self.log.level.or(below.log.level),
            },
        }
    }

    /// What a TOML file says.
    ///
    /// # Errors
    /// It can't be read, isn't TOML, or has a key that nobody knows.
    pub(crate) fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            path: path.into(),
            reason: error.to_string(),
        })?;
        toml::from_str(&text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            ConfigError::File {
                path: path.into(),
                reason: format!("{place}{}", error.message().replace('\n', ", ")),
            }
        })
    }

    /// What the environment says, through `get`; an empty variable says nothing.
    ///
    /// # Errors
    /// A variable isn't what it should be.
    pub(crate) fn from_environment(get: impl Fn(&'static str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let get = |key| get(key).filter(|value| !value.is_empty());
        let path = |key| get(key).map(PathBuf::from);
        let text = |key| match get(key).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(_)) => Err(ConfigError::Environment {
                key,
                reason: "it isn't UTF-8".into(),
            }),
        };
        let flag = |key| parsed(key, text(key)?, |value| value.parse().map_err(|_| "give true or false".to_owned()));
        let format = "FASTCHAT_LOG_FORMAT";
        Ok(Self {
            config: path("FASTCHAT_CONFIG"),
            name: text("FASTCHAT_NAME")?,
            control: text("FASTCHAT_CONTROL")?,
            token_file: path("FASTCHAT_TOKEN_FILE"),
            spec: path("FASTCHAT_SPEC"),
            state: path("FASTCHAT_STATE"),
            data: path("FASTCHAT_DATA"),
            stop_children: flag("FASTCHAT_STOP_CHILDREN")?,
            database: text("FASTCHAT_DATABASE")?.map(Secret::new),
            allow_plaintext: flag("FASTCHAT_ALLOW_PLAINTEXT")?,
            tls: TlsLayer {
                certificate: path("FASTCHAT_TLS_CERTIFICATE"),
                key: path("FASTCHAT_TLS_KEY"),
                name: text("FASTCHAT_TLS_NAME")?,
                ca: path("FASTCHAT_TLS_CA"),
            },
            log: LogLayer {
                format: parsed(format, text(format)?, |value| {
                    LogFormat::from_str(value, false).map_err(|_| "give text or json".to_owned())
                })?,
                level: text("FASTCHAT_LOG_LEVEL")?,
            },
        })
    }
}

fn parsed<T>(key: &'static str, value: Option<String>, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, ConfigError> {
    let parse = |value: String| parse(&value).map_err(|reason| ConfigError::Environment { key, reason });
    value.map(parse).transpose()
}
