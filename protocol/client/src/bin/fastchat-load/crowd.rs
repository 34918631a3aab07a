//! Clients that mean harm: they never read, or never finish a frame. Whoever is
//! closed for it comes back at once.

use crate::{book::Account, enter::Entrance, line::Line, trouble::Trouble};
use fastchat_wire::{Block, chat::ping::Ping, encode_request};
use futures::{StreamExt, TryStreamExt, stream};
use std::{cell::Cell, net::SocketAddr, rc::Rc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

/// They come so many at once.
const AT_ONCE: usize = 16;
/// Where a server does not let one in, or closed it at once: when it comes back.
const PAUSE: Duration = Duration::from_millis(200);
/// Pings of one write of a client that never reads.
const FLOOD: usize = 64;
/// The length of a header that will never be whole, and its first byte.
const BEGUN: &[u8] = &[0, 200, b'{'];
/// A crowd that isn't there by then is not let in.
const ARRIVAL: Duration = Duration::from_secs(60);

/// What the crowd does.
#[derive(Debug, Default)]
pub(crate) struct Deeds {
    /// Connections that are held now.
    pub(crate) held: Cell<usize>,
    /// Connections that a server ended.
    pub(crate) closed: Cell<u64>,
    /// Connections that a server did not take.
    pub(crate) refused: Cell<u64>,
}

/// The crowd; it goes away when it is dropped.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) deeds: Rc<Deeds>,
    #[expect(dead_code, reason = "held, not read: dropping it ends the crowd")]
    clients: JoinSet<()>,
}

/// Counts a connection as held while it is.
struct Held<'a>(&'a Deeds);

impl<'a> Held<'a> {
    fn new(deeds: &'a Deeds) -> Self {
        deeds.held.update(|held| held + 1);
        Self(deeds)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.update(|held| held.saturating_sub(1));
    }
}

impl Crowd {
    /// Comes: connections of these accounts that never read, and `unfinished`
    /// ones that never finish a frame. Waits until all of them are there.
    ///
    /// # Errors
    /// An account can't sign in.
    pub(crate) async fn come(entrance: &Rc<Entrance>, readers: &mut [Account], unfinished: usize) -> Result<Self, Trouble> {
        let deeds = Rc::new(Deeds::default());
        let mut clients = JoinSet::new();
        let lines = stream::iter(readers.iter_mut().enumerate())
            .map(|(seat, account)| async move {
                let line = entrance.patiently(async || entrance.sign_in(seat, account, None).await).await?;
                Ok::<_, Trouble>((seat, account.clone(), line))
            })
            .buffer_unordered(AT_ONCE);
        let lines: Vec<_> = lines.try_collect().await?;
        let wanted = lines.len() + unfinished;
        for (seat, account, line) in lines {
            clients.spawn_local(never_read(Rc::clone(entrance), seat, account, line, Rc::clone(&deeds)));
        }
        let servers = entrance.by_server().await?;
        for seat in 0..unfinished {
            let address = servers.address(seat).await?;
            clients.spawn_local(never_finish(address, Rc::clone(&deeds)));
        }
        let arriving = async {
            while deeds.held.get() < wanted {
                sleep(Duration::from_millis(10)).await;
            }
        };
        // Who isn't let in by then is counted, and tries on.
        let _ = timeout(ARRIVAL, arriving).await;
        Ok(Self { deeds, clients })
    }
}

/// Asks and asks, and takes no answer.
async fn never_read(entrance: Rc<Entrance>, seat: usize, mut account: Account, line: Line, deeds: Rc<Deeds>) {
    let ping = encode_request(1, &Ping {}, &Block::none()).unwrap_or_default();
    let flood = ping.repeat(FLOOD);
    let mut line = Some(line);
    loop {
        if let Some(line) = line.take() {
            let _held = Held::new(&deeds);
            let mut socket = line.into_socket();
            while socket.write_all(&flood).await.is_ok() {}
            deeds.closed.update(|closed| closed + 1);
        }
        match entrance.sign_in(seat, &mut account, None).await {
            Ok(again) => line = Some(again),
            Err(_) => {
                deeds.refused.update(|refused| refused + 1);
                sleep(PAUSE).await;
            }
        }
    }
}

/// Begins a frame, and waits for the end.
async fn never_finish(address: SocketAddr, deeds: Rc<Deeds>) {
    loop {
        let begun = async {
            let mut socket = TcpStream::connect(address).await?;
            socket.write_all(BEGUN).await?;
            Ok::<_, std::io::Error>(socket)
        };
        match begun.await {
            Ok(socket) => {
                let _held = Held::new(&deeds);
                // Whatever it is told, or that it is over.
                let _ = socket.readable().await;
                deeds.closed.update(|closed| closed + 1);
            }
            Err(_) => {
                deeds.refused.update(|refused| refused + 1);
                sleep(PAUSE).await;
            }
        }
    }
}
