//! Somebody with a profile.

use super::{Run, TEXT_BYTES, fleet::program};
use anyhow::{Context, ensure};
use fastchat_client::{
    Config, account,
    messenger::Messenger,
    profile::Profile,
    record::{Recipient, Record, What},
};
use fastchat_e2e::{ConversationId, content::Body, secret::Password};
use rand::distr::{Alphanumeric, SampleString};
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(30);
/// How often two are brought online anew until they are on different servers.
const TRIES: usize = 30;

/// A person on one device.
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    config: Config,
    balancer: String,
}

impl Person {
    /// Somebody who has not registered yet.
    pub(crate) fn new(run: &Run<'_>, name: &str, balancer: &str) -> anyhow::Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            folder: run.folder.join(name),
            config: Config::new(balancer)?,
            balancer: balancer.to_owned(),
        })
    }

    /// Somebody who has.
    pub(crate) async fn registered(run: &Run<'_>, name: &str) -> anyhow::Result<Self> {
        let person = Self::new(run, name, run.fleet.balancer())?;
        person.register().await?;
        Ok(person)
    }

    pub(crate) async fn register(&self) -> anyhow::Result<()> {
        account::register(&self.config, &self.folder, &self.name, self.password(), "bench").await?;
        Ok(())
    }

    /// Signs in on a new device, in another folder.
    pub(crate) async fn login(&self, folder: &str) -> anyhow::Result<()> {
        let proof = account::Proof::Password(self.password());
        let folder = self.folder.with_file_name(folder);
        account::login(&self.config, &folder, &self.name, proof, "second").await?;
        Ok(())
    }

    pub(crate) fn password(&self) -> Password {
        Password::new(format!("correct horse battery {}", self.name))
    }

    /// Brings the device online in this process, and says on which server.
    pub(crate) async fn online(&self) -> anyhow::Result<(Messenger, String)> {
        let messenger = self.online_as(Profile::open(&self.folder)?)?;
        messenger.caught_up(PATIENCE).await?;
        let server = messenger.status().borrow().server.clone();
        Ok((messenger, server.context("who is caught up is on a server")?))
    }

    /// Begins to bring one of their devices online in this process.
    pub(crate) fn online_as(&self, profile: Profile) -> anyhow::Result<Messenger> {
        Ok(Messenger::start(Arc::new(profile), self.config.clone())?)
    }

    /// Brings the device online on another server than this one.
    pub(crate) async fn online_apart(&self, from: &str) -> anyhow::Result<Messenger> {
        for _ in 0..TRIES {
            let (messenger, server) = self.online().await?;
            if server != from {
                return Ok(messenger);
            }
            messenger.close().await;
        }
        anyhow::bail!("{TRIES} times the same server for both")
    }

    /// A run of the program as this person.
    pub(crate) fn fastchat(&self, args: &[&str]) -> anyhow::Result<Command> {
        self.fastchat_in(&self.folder, args)
    }

    /// The same on another device, in another folder.
    pub(crate) fn fastchat_on(&self, folder: &str, args: &[&str]) -> anyhow::Result<Command> {
        self.fastchat_in(&self.folder.with_file_name(folder), args)
    }

    fn fastchat_in(&self, folder: &Path, args: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(program("fastchat")?);
        command.args(["--json", "--balancer", &self.balancer, "--profile"]);
        command.arg(folder).args(args);
        Ok(command)
    }

    pub(crate) fn recipient(&self) -> anyhow::Result<Recipient> {
        Ok(Recipient::Person(self.name.parse()?))
    }
}

/// Two people who have just met, online in this process on different servers.
pub(crate) struct Pair {
    pub(crate) alice: Messenger,
    pub(crate) bob: Messenger,
    pub(crate) conversation: ConversationId,
}

impl Pair {
    pub(crate) async fn meet(alice: &Person, bob: &Person) -> anyhow::Result<Self> {
        let (of_bob, server) = bob.online().await?;
        let of_alice = alice.online_apart(&server).await?;
        let conversation = of_alice.conversation(&bob.recipient()?).await?;
        let text = text();
        of_alice.send(conversation, Body::text(text.clone())).await?;
        let mut after = 0;
        wait_for_text(&of_bob, &mut after, &text).await?;
        Ok(Self {
            alice: of_alice,
            bob: of_bob,
            conversation,
        })
    }

    pub(crate) async fn part(self) {
        self.alice.close().await;
        self.bob.close().await;
    }
}

/// Waits for a record with this text; `after` is moved to it.
pub(crate) async fn wait_for_text(messenger: &Messenger, after: &mut u64, text: &str) -> anyhow::Result<Record> {
    wait_for(messenger, after, |body| matches!(body, Body::Text(said) if said.body == text)).await
}

/// Waits for a message like this; `after` is moved to it.
pub(crate) async fn wait_for(messenger: &Messenger, after: &mut u64, is: impl Fn(&Body) -> bool) -> anyhow::Result<Record> {
    loop {
        let record = tokio::time::timeout(PATIENCE, messenger.next(*after)).await??;
        ensure!(record.alarms.is_empty(), "an alarm: {:?}", record.alarms);
        *after = record.arrival;
        if let What::Message(content) = &record.what
            && is(&content.body)
        {
            return Ok(record);
        }
    }
}

/// A text of [`TEXT_BYTES`] bytes, another one each time.
pub(crate) fn text() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), TEXT_BYTES)
}
