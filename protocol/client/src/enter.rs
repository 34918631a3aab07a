//! Finding a server: balancer, wait, dial, hello.

use crate::{
    address::Address,
    chat,
    config::Config,
    connection::Connection,
    dial::{dial_assigned, dial_named},
    error::{Error, Failure},
    limits::WAIT_MAX,
    session::Course,
};
use fastchat_wire::{
    Code, MoveId,
    chat::{assign::Assign, hello::Welcome},
};
use std::time::Duration;
use tokio::time::{sleep, sleep_until, timeout};

/// Rounds through all balancers before [`enter`] gives up.
const ROUNDS_MAX: u32 = 4;

/// What a client comes for: the balancer paces by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Errand {
    /// It holds a session token.
    pub resume: bool,
    /// The `move` event that sent it.
    pub move_id: Option<MoveId>,
}

/// On a server, past `hello`, not yet signed in.
#[derive(Debug, Clone)]
pub struct Entered {
    /// The connection.
    pub connection: Connection,
    /// Who answered, and its limits.
    pub welcome: Welcome,
}

/// Finds a server, for something short: signing in. Several tries, some
/// seconds; a [`crate::Session`] does not give up.
///
/// # Errors
/// The fleet refuses, nobody can be reached, or the configuration is wrong.
pub async fn enter(config: &Config, errand: Errand) -> Result<Entered, Error> {
    config.check()?;
    let mut course = Course::new(config.balancers.len(), rand::random());
    loop {
        let error = match enter_once(config, course.balancer(), errand).await {
            Ok(entered) => return Ok(entered),
            Err(error) => error,
        };
        let pause = course.failed(&config.timing, retry_after(&error), rand::random());
        if is_final(&error) || course.rounds() >= ROUNDS_MAX {
            return Err(error);
        }
        tracing::debug!(%error, ?pause, "no server yet");
        if retry_after(&error).is_some() {
            config.waits.asked(pause);
        }
        sleep(pause).await;
    }
}

/// One try, by one balancer.
pub(crate) async fn enter_once(config: &Config, balancer: usize, errand: Errand) -> Result<Entered, Error> {
    let Some(balancer) = config.balancers.get(balancer) else {
        return Err(Error::Usage("name a balancer".to_owned()));
    };
    let (assigned, way) = {
        let (connection, way) = dial_named(config, balancer).await?;
        let request = Assign {
            hint: config.hint.clone(),
            resume: errand.resume,
            move_id: errand.move_id,
            proxy: false,
        };
        let assigned = answered(config, chat::assign(&connection, &request)).await?;
        connection.close();
        (assigned, way)
    };
    let address: Address = assigned
        .address
        .as_deref()
        .unwrap_or_default()
        .parse()
        .map_err(|error| Error::CannotConnect(format!("the balancer {balancer} names no server's address: {error}")))?;
    let come_at = config.waits.asked(Duration::from_millis(assigned.wait_ms).min(WAIT_MAX));
    sleep_until(come_at).await;
    let connection = dial_assigned(config, &address, &way).await?;
    let welcome = answered(config, chat::hello(&connection, &config.agent, Some(assigned.ticket))).await?;
    Ok(Entered { connection, welcome })
}

/// Waits for a balancer's or server's first answer, and no longer than for that.
async fn answered<T>(config: &Config, answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let patience = config.timing.enter;
    timeout(patience, answer).await.unwrap_or(Err(Failure::TimedOut(patience)))
}

/// True where trying again changes nothing.
pub(crate) fn is_final(error: &Error) -> bool {
    match error {
        Error::Usage(_) => true,
        Error::CannotConnect(_) => false,
        Error::Refused(refused) => {
            !(refused.code.is_retryable() || matches!(refused.code, Code::NoServer | Code::Draining | Code::BadTicket))
        }
    }
}

/// After how long the fleet wants to be asked again.
pub(crate) fn retry_after(error: &Error) -> Option<Duration> {
    match error {
        Error::Refused(refused) => refused.retry_after,
        Error::Usage(_) | Error::CannotConnect(_) => None,
    }
}
