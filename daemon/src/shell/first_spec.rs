//! The spec that a process starts with.
//!
//! The control plane's, where it answers soon; otherwise the cached one; where
//! there is none, it waits.

use super::{
    admit::{Verdict, admit},
    backoff::Backoff,
    cache::{Cache, read_spec},
    control_link::ControlLink,
    trouble::Trouble,
};
use anyhow::{Context, bail};
use fastchat_wire::control::{Role, Spec};
use std::{path::Path, time::Duration};

/// A process that has a cached spec waits no longer than this for a newer one before it starts.
const PATIENCE: Duration = Duration::from_secs(2);

/// The first spec from the control plane or the cache.
///
/// # Errors
/// The spec can't be cached: the folder can't be written.
pub(super) async fn from_control(link: &ControlLink, cache: &Cache, role: Role, name: &str) -> anyhow::Result<Spec> {
    let cached = cache.read().filter(|spec| admit(None, spec, role, name) == Verdict::Take);
    let (mut backoff, mut trouble) = (Backoff::default(), Trouble::new("asking the control plane for the first spec"));
    loop {
        let asked = match &cached {
            Some(_) => tokio::time::timeout(PATIENCE, link.spec(0)).await.unwrap_or_else(|_| Ok(None)),
            None => link.spec(0).await,
        };
        match asked {
            Ok(None) => trouble.begins("the control plane has no spec for this process yet".into()),
            Err(error) => trouble.begins(format!("{error:#}")),
            Ok(Some(spec)) => match admit(cached.as_ref(), &spec, role, name) {
                Verdict::Ignore(why) => trouble.begins(why),
                Verdict::Same => return Ok(spec),
                Verdict::Take => {
                    cache.write(&spec).context("can't write spec.json in the process's folder")?;
                    return Ok(spec);
                }
            },
        }
        if let Some(cached) = cached {
            tracing::warn!(generation = cached.generation, "starting with the cached spec");
            return Ok(cached);
        }
        tokio::time::sleep(backoff.failed(rand::random())).await;
    }
}

/// The first spec from the file of `--spec`.
///
/// # Errors
/// It can't be read, isn't a spec, or is another process's.
pub(super) fn from_file(path: &Path, role: Role, name: &str) -> anyhow::Result<Spec> {
    let spec = read_spec(path).with_context(|| format!("can't read a spec from {}; check --spec", path.display()))?;
    match admit(None, &spec, role, name) {
        Verdict::Ignore(why) => bail!("{}: {why}; check --name and --spec", path.display()),
        Verdict::Take | Verdict::Same => Ok(spec),
    }
}
