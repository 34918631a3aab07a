//! What the global flags say: which profile, which balancer.

use crate::{args::Global, online::Online, stop::file, terminal::screen::Screen};
use fastchat_client::{
    Address, Config, Ended, Tls, Waits,
    messenger::Messenger,
    problem::Problem,
    profile::{BALANCER_DEFAULT, Profile},
};
use std::{path::PathBuf, sync::Arc};

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// The profile's folder, absolute.
    pub(crate) folder: PathBuf,
    /// Where results and notes go.
    pub(crate) screen: &'a Screen,
    /// As named by flag or environment.
    balancer: Option<Address>,
    /// As named.
    tls: Option<Tls>,
    allow_plaintext: bool,
    /// Where is said that the fleet asks to wait.
    waits: Waits,
}

impl<'a> Context<'a> {
    /// Reads the global flags.
    pub(crate) fn new(global: Global, screen: &'a Screen) -> Result<Self, Problem> {
        let folder = Profile::folder_of(&global.profile)?;
        let tls = match global.ca {
            // Absolute: it is kept for commands that are run elsewhere.
            Some(ca) => Some(Tls::by(std::path::absolute(&ca).map_err(|source| file(&ca, source))?)),
            None => global.tls.then(Tls::always),
        };
        Ok(Self {
            folder: std::path::absolute(&folder).map_err(|source| file(&folder, source))?,
            screen,
            balancer: global.balancer,
            tls,
            allow_plaintext: global.allow_plaintext,
            waits: Waits::default(),
        })
    }

    /// Where is said that the fleet asks to wait.
    pub(crate) fn waits(&self) -> &Waits {
        &self.waits
    }

    /// Opens the profile.
    pub(crate) fn profile(&self) -> Result<Profile, Problem> {
        Profile::open(&self.folder)
    }

    /// How to reach the fleet: the balancer that was named, else the profile's, else this machine's.
    pub(crate) fn config(&self, profile: Option<&Profile>) -> Result<Config, Problem> {
        let kept = match profile {
            Some(profile) => profile.config()?,
            None => Config::new(BALANCER_DEFAULT)?,
        };
        let named = self.balancer.clone().map(|named| vec![named]);
        let same = named.as_ref().is_none_or(|named| *named == kept.balancers);
        let tls = match &self.tls {
            // A CA that was kept is not forgotten because TLS is asked for again.
            Some(tls) if tls.ca().is_none() && same && kept.tls.is_always() => kept.tls,
            Some(tls) => tls.clone(),
            None if same && !self.allow_plaintext => kept.tls,
            None => Tls::default(),
        };
        Ok(Config {
            balancers: named.unwrap_or(kept.balancers),
            tls,
            allow_plaintext: self.allow_plaintext,
            waits: self.waits.clone(),
            agent: concat!("fastchat/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Config::new(BALANCER_DEFAULT)?
        })
    }

    /// Keeps the balancer and the TLS that were named, now that they have worked. What was done stays done if that fails.
    pub(crate) fn keep_balancer(&self, profile: &Profile) {
        if self.balancer.is_none() && self.tls.is_none() {
            return;
        }
        let kept = self.config(Some(profile)).and_then(|config| {
            let (balancer, tls) = (profile.balancer()?, profile.tls()?);
            let named = config.balancers.first().map(ToString::to_string).unwrap_or_default();
            let same = (tls.is_always(), tls.ca()) == (config.tls.is_always(), config.tls.ca());
            if same && balancer.as_deref() == Some(&named) {
                return Ok(());
            }
            profile.save_fleet(&named, &config.tls)
        });
        if let Err(problem) = kept {
            self.screen.note(&format!("the balancer is not kept in the profile: {problem}"));
        }
    }

    /// Goes online as the profile's device.
    pub(crate) fn online(&self) -> Result<Online<'_>, Problem> {
        self.online_as(&Arc::new(self.profile()?))
    }

    /// The same with a profile that is open.
    pub(crate) fn online_as(&self, profile: &Arc<Profile>) -> Result<Online<'_>, Problem> {
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
