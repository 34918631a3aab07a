//! What the global flags say: which profile, which balancer.

use crate::{args::Global, online::Online, stop::file, terminal::screen::Screen};
use fastchat_client::{Address, Config, Ended, messenger::Messenger, problem::Problem, profile::Profile};
use std::{path::PathBuf, sync::Arc};

/// Where a fleet on this machine answers.
const BALANCER: &str = "127.0.0.1:7101";

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// The profile's folder, absolute.
    pub(crate) folder: PathBuf,
    /// Where results and notes go.
    pub(crate) screen: &'a Screen,
    /// As named by flag or environment.
    balancer: Option<Address>,
    allow_plaintext: bool,
}

impl<'a> Context<'a> {
    /// Reads the global flags.
    pub(crate) fn new(global: Global, screen: &'a Screen) -> Result<Self, Problem> {
        let folder = Profile::folder_of(&global.profile)?;
        Ok(Self {
            folder: std::path::absolute(&folder).map_err(|source| file(&folder, source))?,
            screen,
            balancer: global.balancer,
            allow_plaintext: global.allow_plaintext,
        })
    }

    /// Opens the profile.
    pub(crate) fn profile(&self) -> Result<Profile, Problem> {
        Profile::open(&self.folder)
    }

    /// How to reach the fleet: the balancer that was named, else the profile's, else this machine's.
    pub(crate) fn config(&self, profile: Option<&Profile>) -> Result<Config, Problem> {
        let kept = || profile.map_or(Ok(None), Profile::balancer);
        let balancer = match &self.balancer {
            Some(named) => named.to_string(),
            None => kept()?.unwrap_or_else(|| BALANCER.to_owned()),
        };
        Ok(Config {
            allow_plaintext: self.allow_plaintext,
            agent: concat!("fastchat/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Config::new(&balancer)?
        })
    }

    /// Keeps the balancer that was named, now that it has worked. What was done stays done if that fails.
    pub(crate) fn keep_balancer(&self, profile: &Profile) {
        let Some(named) = self.balancer.as_ref().map(ToString::to_string) else {
            return;
        };
        let kept = profile.balancer().and_then(|kept| match kept {
            Some(kept) if kept == named => Ok(()),
            _ => profile.save_balancer(&named),
        });
        if let Err(problem) = kept {
            self.screen.note(&format!("the balancer is not kept in the profile: {problem}"));
        }
    }

    /// Goes online as the profile's device.
    pub(crate) fn online(&self) -> Result<Online<'_>, Problem> {
        self.online_as(&Arc::new(self.profile()?))
    }

    fn online_as(&self, profile: &Arc<Profile>) -> Result<Online<'_>, Problem> {
        if !profile.is_signed_in()? {
            return Err(Problem::Ended(Ended::NoToken));
        }
        let config = self.config(Some(profile))?;
        Ok(Online::new(self, Messenger::start(Arc::clone(profile), config)?))
    }

    /// Fetches what the fleet has, for a command that can do without. None where it was not to be asked, or can't be.
    pub(crate) async fn refreshed(&self, profile: &Arc<Profile>, offline: bool) -> Option<Online<'_>> {
        if offline {
            return None;
        }
        match self.online_as(profile) {
            Ok(mut online) => {
                online.refresh().await;
                Some(online)
            }
            Err(problem) => {
                self.screen.note(&format!("this may not be up to date: {problem}"));
                None
            }
        }
    }
}
