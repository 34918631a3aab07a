//! Accounts whose devices can be added to groups and never look: registered as cheaply as a fleet lets, with no
//! password stretched on this side.

use super::fleet::Fleet;
use anyhow::Context;
use bytes::Bytes;
use fastchat_client::{Config, Connection, Errand, Failure, chat, enter};
use fastchat_e2e::{
    AccountId, Credential, DeviceId, DeviceKey, IdentityKey, Username,
    mls::{Engine, key_packages::generate},
};
use fastchat_wire::{
    Secret32,
    chat::{
        auth_params::Kdf,
        login::{Login, Method},
        register::Register,
    },
    encoding::Bytes64,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::{task::JoinSet, time::sleep};

/// Of these at a time: a server stretches what they send, and has a queue for that.
const LANES: usize = 8;
/// Where a server has too much to do and does not say for how long.
const PAUSE: Duration = Duration::from_millis(200);

/// Registers so many; every one of which `has_two` has a second device.
pub(crate) async fn register(fleet: &Fleet, count: usize, has_two: impl Fn(usize) -> bool) -> anyhow::Result<Vec<Username>> {
    let guests: Vec<(String, bool)> = (0..count).map(|n| (format!("guest{n}"), has_two(n))).collect();
    let config = Config::new(fleet.balancer())?;
    let mut lanes = JoinSet::new();
    for lane in guests.chunks(count.div_ceil(LANES)) {
        let (lane, config) = (lane.to_vec(), config.clone());
        lanes.spawn(async move {
            for (name, has_two) in lane {
                guest(&config, &name, has_two).await.with_context(|| name.clone())?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    guests.iter().map(|(name, _)| Ok(name.parse()?)).collect()
}

async fn guest(config: &Config, name: &str, has_two: bool) -> anyhow::Result<()> {
    let identity = IdentityKey::random(&mut rand::rng());
    let auth: [u8; 32] = rand::random();
    let request = Register {
        username: name.parse()?,
        salt: Bytes64(rand::random::<[u8; 16]>().to_vec()),
        kdf: Kdf::registration(),
        auth: Secret32::new(auth),
        recovery_auth: None,
        device_name: "first".to_owned(),
    };
    let keyring = Bytes::from_static(b"nobody will open this");
    let (connection, registered) = loop {
        let connection = enter(config, Errand::default()).await?.connection;
        match chat::register(&connection, &request, keyring.clone()).await {
            Ok(registered) => break (connection, registered),
            Err(failure) => sleep(pause(failure)?).await,
        }
    };
    publish(
        &connection,
        &identity,
        name,
        AccountId(registered.account.0),
        DeviceId(registered.device.0),
    )
    .await?;
    if !has_two {
        return Ok(());
    }
    let login = Login {
        username: name.parse()?,
        auth: Secret32::new(auth),
        method: Method::Password,
        device: None,
        new_device: None,
        device_name: Some("second".to_owned()),
    };
    let (connection, second) = loop {
        let connection = enter(config, Errand::default()).await?.connection;
        match chat::login(&connection, &login).await {
            Ok((second, _)) => break (connection, second),
            Err(failure) => sleep(pause(failure)?).await,
        }
    };
    publish(&connection, &identity, name, AccountId(second.account.0), DeviceId(second.device.0)).await
}

/// How long to wait where the fleet has too much to do.
fn pause(failure: Failure) -> anyhow::Result<Duration> {
    match failure {
        Failure::Refused(refused) if refused.code.is_retryable() => Ok(refused.retry_after.unwrap_or(PAUSE)),
        failure => Err(failure.into()),
    }
}

/// What others need of a device while it is away.
async fn publish(connection: &Connection, identity: &IdentityKey, name: &str, account: AccountId, device: DeviceId) -> anyhow::Result<()> {
    let key = DeviceKey::random(&mut rand::rng());
    let credential = Credential::issue(identity, account, name.parse()?, device, key.public(), 1);
    let package = generate(
        &Engine::new(&credential, &key)?,
        true,
        SystemTime::now().duration_since(UNIX_EPOCH)?,
    )?;
    chat::set_credential(connection, identity.public().as_bytes().to_vec(), credential.as_bytes().to_vec()).await?;
    chat::keys_publish(connection, &[package.public.into()], true).await?;
    Ok(())
}
