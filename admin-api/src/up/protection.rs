//! How the fleet of `up` protects its connections: what is asked for, and what its processes are told.

use super::Args;
use crate::certificates::Certificates;
use crate::cli::client::Trust;
use crate::data::DataFolder;
use anyhow::bail;
use fastchat_tls::{is_loopback_host, server_name};
use std::{ffi::OsString, net::IpAddr, path::PathBuf};

/// The name of a fleet that has none of its own.
const NAME_DEFAULT: &str = "localhost";

/// Options of `up` for TLS.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsArgs {
    /// Speak TLS, with a CA and a certificate of the fleet's own, which are made in DATA/tls
    #[arg(long)]
    tls: bool,
    /// The fleet's name, which its certificate has: what people give as host of --balancer [default: localhost]
    #[arg(long, env = "FASTCHAT_TLS_NAME", value_name = "NAME")]
    tls_name: Option<String>,
    /// Speak TLS with the certificate in this PEM file; give its name by --tls-name
    #[arg(
        long,
        env = "FASTCHAT_TLS_CERTIFICATE",
        value_name = "FILE",
        requires_all = ["tls_key", "tls_name"],
        conflicts_with = "tls"
    )]
    tls_certificate: Option<PathBuf>,
    /// PEM file of its private key
    #[arg(long, env = "FASTCHAT_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// PEM file of its CA, where this machine does not trust it
    #[arg(long, env = "FASTCHAT_TLS_CA", value_name = "FILE", requires = "tls_certificate")]
    tls_ca: Option<PathBuf>,
    /// Listen beyond this machine without TLS: on a network that you trust
    #[arg(long, conflicts_with_all = ["tls", "tls_certificate"])]
    allow_plaintext: bool,
}

impl TlsArgs {
    /// Plain connections beyond this machine were asked for.
    pub(super) fn allow_plaintext(&self) -> bool {
        self.allow_plaintext
    }
}

/// What the fleet's processes are told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Protection {
    tls: Option<Tls>,
    allow_plaintext: bool,
}

#[derive(Debug, Clone)]
struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    ca: Option<PathBuf>,
    name: String,
}

impl Protection {
    /// What is asked for; makes the certificate where it is the fleet's own.
    ///
    /// # Errors
    /// The files can't be made, or clients beyond this machine would speak in the clear.
    pub(super) fn prepare(args: &Args, data: &DataFolder, balancer: &str) -> anyhow::Result<Self> {
        let given = &args.tls;
        let name = given.tls_name.clone().unwrap_or_else(|| NAME_DEFAULT.to_owned());
        server_name(&name)?;
        let absolute = |path: &PathBuf| std::path::absolute(path);
        let tls = if let (Some(certificate), Some(key)) = (&given.tls_certificate, &given.tls_key) {
            Some(Tls {
                certificate: absolute(certificate)?,
                key: absolute(key)?,
                ca: given.tls_ca.as_ref().map(absolute).transpose()?,
                name,
            })
        } else if given.tls {
            let mut addresses = vec![args.admin_listen.ip()];
            addresses.extend(balancer.parse::<IpAddr>());
            let files = Certificates::create(&data.path().join("tls"), &name, &addresses)?;
            Some(Tls {
                certificate: files.certificate,
                key: files.key,
                ca: Some(files.ca),
                name,
            })
        } else if given.tls_name.is_some() {
            bail!("--tls-name says what the fleet is called, not that it speaks TLS: give --tls, or --tls-certificate");
        } else {
            None
        };
        if tls.is_none() && !given.allow_plaintext && !(is_loopback_host(balancer) && args.admin_listen.ip().is_loopback()) {
            bail!(
                "{balancer} is not on this machine alone, and connections would be plain text: give --tls, or --allow-plaintext on a network that you trust"
            );
        }
        Ok(Self {
            tls,
            allow_plaintext: given.allow_plaintext,
        })
    }

    /// `http` or `https`.
    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The CA that clients must be given; `None` where they need none.
    pub(super) fn ca(&self) -> Option<&PathBuf> {
        self.tls.as_ref()?.ca.as_ref()
    }

    /// The fleet's name, where it speaks TLS.
    pub(super) fn name(&self) -> Option<&str> {
        self.tls.as_ref().map(|tls| tls.name.as_str())
    }

    /// How `up` itself calls the control plane.
    pub(super) fn trust(&self) -> Trust {
        Trust {
            ca: self.ca().cloned(),
            name: self.name().map(str::to_owned),
            allow_plaintext: self.allow_plaintext,
        }
    }

    /// What the control plane is told.
    pub(super) fn flags_of_control(&self) -> Vec<OsString> {
        let mut flags = Vec::new();
        if let Some(tls) = &self.tls {
            flags.extend(["--tls-certificate".into(), tls.certificate.clone().into()]);
            flags.extend(["--tls-key".into(), tls.key.clone().into()]);
        }
        self.plaintext(&mut flags);
        flags
    }

    /// What the agent is told, and tells its instances.
    pub(super) fn flags_of_agent(&self) -> Vec<OsString> {
        let mut flags: Vec<OsString> = Vec::new();
        if let Some(tls) = &self.tls {
            flags.extend(["--tls-certificate".into(), tls.certificate.clone().into()]);
            flags.extend(["--tls-key".into(), tls.key.clone().into()]);
            flags.extend(["--tls-name".into(), tls.name.clone().into()]);
            if let Some(ca) = &tls.ca {
                flags.extend(["--tls-ca".into(), ca.clone().into()]);
            }
        }
        self.plaintext(&mut flags);
        flags
    }

    fn plaintext(&self, flags: &mut Vec<OsString>) {
        if self.allow_plaintext {
            flags.push("--allow-plaintext".into());
        }
    }
}
