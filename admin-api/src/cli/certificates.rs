//! `fastchat-admin certificates`: certificates for a fleet that has no CA yet.

use super::output;
use crate::certificates::Certificates;
use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;
use std::{net::IpAddr, path::PathBuf};

/// Certificates of a fleet's own CA
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a CA, and a certificate by it; later on the next certificate by the same CA
    ///
    /// Processes use a new certificate at once. ca.pem is what clients are given; the .key files are nobody else's.
    Create(Create),
}

/// Options of `create`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Folder of the files: ca.pem, ca.key, fleet.pem, fleet.key
    #[arg(long, default_value = "./fastchat-data/tls", value_name = "DIR")]
    folder: PathBuf,
    /// The fleet's name: what people give as host of --balancer
    #[arg(long, default_value = "localhost", value_name = "NAME")]
    name: String,
    /// An IP address that the fleet may be dialled by instead of its name; may be given several times
    #[arg(long, value_name = "IP")]
    address: Vec<IpAddr>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does it.
///
/// # Errors
/// The files can't be made; the message says what to do.
pub(crate) fn run(verb: Verb) -> anyhow::Result<()> {
    let Verb::Create(args) = verb;
    let folder = std::path::absolute(&args.folder).context("--folder is no path")?;
    let files = Certificates::create(&folder, &args.name, &args.address)?;
    let (ca, certificate, key) = (files.ca.display(), files.certificate.display(), files.key.display());
    if args.json {
        output::json(&json!({"ca": files.ca, "certificate": files.certificate, "key": files.key, "name": args.name}));
    } else {
        output::line(&format!(
            "The certificate for {name} is made.

  clients get        --ca {ca}
  fastchatd gets     --tls-certificate {certificate} --tls-key {key} --tls-ca {ca} --tls-name {name}
  the control plane  --tls-certificate {certificate} --tls-key {key}",
            name = args.name
        ));
    }
    Ok(())
}
