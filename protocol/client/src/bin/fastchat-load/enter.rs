//! Ways into a fleet: which server, hello, sign-in.

use crate::{
    book::Account,
    line::{Line, Pool},
    trouble::Trouble,
    way::Way,
};
use fastchat_client::Address;
use fastchat_wire::{
    Block, Code, MoveId, Secret,
    chat::{
        assign::{Assign, Assigned},
        hello::{Hello, Welcome},
        login::{Login, Method},
        resume::Resume,
    },
};
use std::{net::SocketAddr, rc::Rc, time::Duration};
use tokio::time::{Instant, sleep};

/// What this program calls itself.
const AGENT: &str = concat!("fastchat-load/", env!("CARGO_PKG_VERSION"));
/// So long a fleet may say that it has too much to do.
const PATIENCE: Duration = Duration::from_secs(120);
/// Where a refusal does not say when to try again.
const RETRY: Duration = Duration::from_millis(200);
/// Assigns that are enough to see every server of a fleet.
const DISCOVERY: usize = 32;

/// Who says where to go.
#[derive(Debug, Clone)]
pub(crate) enum Door {
    /// A balancer.
    Balancer(SocketAddr),
    /// Nobody: the seats take these servers in turn.
    Servers(Vec<SocketAddr>),
}

/// A way into a fleet.
#[derive(Debug)]
pub(crate) struct Entrance {
    door: Door,
    /// How balancer and servers are dialled.
    pub(crate) way: Way,
    /// Where all connections read.
    pub(crate) pool: Rc<Pool>,
}

/// A server to dial.
#[derive(Debug)]
struct Place {
    address: SocketAddr,
    ticket: Option<Secret>,
}

impl Entrance {
    /// An entrance.
    pub(crate) fn new(door: Door, way: Way) -> Self {
        let pool = Rc::default();
        Self { door, way, pool }
    }

    /// What another thread needs for an entrance of its own.
    pub(crate) fn parts(&self) -> (Door, Way) {
        (self.door.clone(), self.way.clone())
    }

    /// The same fleet, but seats choose their server themselves.
    ///
    /// # Errors
    /// The balancer does not answer.
    pub(crate) async fn by_server(&self) -> Result<Self, Trouble> {
        let Door::Balancer(balancer) = self.door else {
            return Ok(Self {
                door: self.door.clone(),
                way: self.way.clone(),
                pool: Rc::clone(&self.pool),
            });
        };
        let mut servers = Vec::new();
        let mut line = Line::dial(&self.way, balancer).await?;
        for _ in 0..DISCOVERY {
            let assigned = line.ask(&self.pool, &Assign::default(), &Block::none()).await?;
            let address = self.address_of(&assigned).await?;
            if !servers.contains(&address) {
                servers.push(address);
            }
        }
        servers.sort_unstable();
        Ok(Self {
            door: Door::Servers(servers),
            way: self.way.clone(),
            pool: Rc::clone(&self.pool),
        })
    }

    /// How many servers seats can choose from; 0 where a balancer chooses.
    pub(crate) fn servers(&self) -> usize {
        match &self.door {
            Door::Balancer(_) => 0,
            Door::Servers(servers) => servers.len(),
        }
    }

    /// The balancer.
    ///
    /// # Errors
    /// The entrance has none.
    pub(crate) fn balancer(&self) -> Result<SocketAddr, Trouble> {
        match self.door {
            Door::Balancer(balancer) => Ok(balancer),
            Door::Servers(_) => Err(Trouble::Usage(
                "this mode is about the balancer: give --balancer, not --server".to_owned(),
            )),
        }
    }

    /// A connection that said hello.
    ///
    /// # Errors
    /// Refused, or nobody answers.
    pub(crate) async fn greeted(&self, seat: usize, resume: bool) -> Result<Line, Trouble> {
        let place = self.place(seat, resume, None).await?;
        self.greet(place).await.map(|(line, _)| line)
    }

    /// What a server says of itself and its fleet.
    ///
    /// # Errors
    /// Refused, or nobody answers.
    pub(crate) async fn welcome(&self) -> Result<Welcome, Trouble> {
        let place = self.place(0, false, None).await?;
        self.greet(place).await.map(|(_, welcome)| welcome)
    }

    /// Where a seat's server listens.
    ///
    /// # Errors
    /// The balancer refuses.
    pub(crate) async fn address(&self, seat: usize) -> Result<SocketAddr, Trouble> {
        self.patiently(async || self.place(seat, false, None).await)
            .await
            .map(|place| place.address)
    }

    /// A signed-in connection; keeps the account's new token. A dead token is replaced by logging in.
    ///
    /// # Errors
    /// Refused, or nobody answers.
    pub(crate) async fn sign_in(&self, seat: usize, account: &mut Account, move_id: Option<MoveId>) -> Result<Line, Trouble> {
        let place = self.place(seat, true, move_id).await?;
        let (mut line, _) = self.greet(place).await?;
        let token = account.token.clone();
        match line.ask(&self.pool, &Resume { token }, &Block::none()).await {
            Ok(resumed) => account.token = resumed.token,
            Err(Trouble::Refused(error)) if error.code == Code::Unauthenticated => self.login(&mut line, account).await?,
            Err(trouble) => return Err(trouble),
        }
        Ok(line)
    }

    /// Logs in on a connection that said hello; keeps the new token.
    ///
    /// # Errors
    /// Refused, or the connection ended.
    pub(crate) async fn login(&self, line: &mut Line, account: &mut Account) -> Result<(), Trouble> {
        let login = Login {
            username: account.username.clone(),
            auth: account.auth.clone(),
            method: Method::Password,
            device: Some(account.device),
            new_device: None,
            device_name: None,
        };
        account.token = line.ask(&self.pool, &login, &Block::none()).await?.token;
        Ok(())
    }

    /// Tries until the fleet has time for it.
    ///
    /// # Errors
    /// Any other refusal, or it has none for minutes.
    pub(crate) async fn patiently<T>(&self, mut attempt: impl AsyncFnMut() -> Result<T, Trouble>) -> Result<T, Trouble> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match attempt().await {
                Err(Trouble::Refused(error)) if error.code.is_retryable() && Instant::now() < deadline => {
                    sleep(error.retry_after_ms.map_or(RETRY, Duration::from_millis)).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn place(&self, seat: usize, resume: bool, move_id: Option<MoveId>) -> Result<Place, Trouble> {
        match &self.door {
            Door::Servers(servers) => Ok(Place {
                address: servers[seat % servers.len()],
                ticket: None,
            }),
            Door::Balancer(balancer) => {
                let mut line = Line::dial(&self.way, *balancer).await?;
                let assign = Assign {
                    resume,
                    move_id,
                    ..Assign::default()
                };
                let assigned = line.ask(&self.pool, &assign, &Block::none()).await?;
                let address = self.address_of(&assigned).await?;
                sleep(Duration::from_millis(assigned.wait_ms)).await;
                Ok(Place {
                    address,
                    ticket: Some(assigned.ticket),
                })
            }
        }
    }

    async fn address_of(&self, assigned: &Assigned) -> Result<SocketAddr, Trouble> {
        let text = assigned.address.as_deref().unwrap_or_default();
        let address: Address = text
            .parse()
            .map_err(|error| Trouble::Failed(format!("the balancer assigned a server without an address: {error}")))?;
        self.way.resolve(&address).await
    }

    async fn greet(&self, place: Place) -> Result<(Line, Welcome), Trouble> {
        let mut line = Line::dial(&self.way, place.address).await?;
        let hello = |ticket| Hello {
            version: 1,
            agent: AGENT.to_owned(),
            ticket,
        };
        let welcome = match line.ask(&self.pool, &hello(place.ticket), &Block::none()).await {
            // It reserved a place, it gives no right: without it we are served too.
            Err(Trouble::Refused(error)) if error.code == Code::BadTicket => line.ask(&self.pool, &hello(None), &Block::none()).await?,
            outcome => outcome?,
        };
        Ok((line, welcome))
    }
}
