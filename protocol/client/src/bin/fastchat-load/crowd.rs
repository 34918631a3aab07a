//! Clients that mean harm: they never read, or never finish a frame. Whoever is
//! closed for it comes back at once.
//!
//! They have a thread of their own: what they do must not hold up whoever measures.

use crate::{
    book::Account,
    enter::{Door, Entrance},
    line::Line,
    trouble::Trouble,
    way::Way,
};
use fastchat_wire::{
    Block, EntryId, LogId,
    chat::{append::Append, fetch::Fetch},
    encode_request,
};
use futures::{StreamExt, TryStreamExt, stream};
use std::{
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    runtime,
    sync::oneshot,
    task::{JoinSet, LocalSet},
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// They come so many at once.
const AT_ONCE: usize = 16;
/// Where a server does not let one in, or closed it at once: when it comes back.
const PAUSE: Duration = Duration::from_millis(200);
/// Requests of one write of a client that never reads.
const FLOOD: usize = 64;
/// Bytes that each of them asks for: few fill what a server holds for it.
const ASKED_BYTES: usize = 256 << 10;
/// The length of a header that will never be whole, and its first byte.
const BEGUN: &[u8] = &[0, 200, b'{'];
/// A crowd that isn't there by then is not let in.
const ARRIVAL: Duration = Duration::from_secs(60);

/// What the crowd does.
#[derive(Debug, Default)]
pub(crate) struct Deeds {
    /// Connections that are held now.
    pub(crate) held: AtomicU64,
    /// Connections that a server ended.
    pub(crate) closed: AtomicU64,
    /// Connections that a server did not take.
    pub(crate) refused: AtomicU64,
}

/// The crowd; it goes away when it is dropped.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) deeds: Arc<Deeds>,
    #[expect(dead_code, reason = "held, not read: dropping it ends the crowd")]
    end: DropGuard,
}

/// Counts a connection as held while it is.
struct Held<'a>(&'a Deeds);

impl<'a> Held<'a> {
    fn new(deeds: &'a Deeds) -> Self {
        deeds.held.fetch_add(1, Relaxed);
        Self(deeds)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Relaxed);
    }
}

impl Crowd {
    /// Comes: connections of these accounts that never read, and `unfinished`
    /// ones that never finish a frame. Waits until all of them are there.
    ///
    /// # Errors
    /// An account can't sign in, or the system has no thread to give.
    pub(crate) async fn come((door, way): (Door, Way), readers: &mut [Account], unfinished: usize) -> Result<Self, Trouble> {
        let deeds = Arc::new(Deeds::default());
        let end = CancellationToken::new();
        let (arrived, arrival) = oneshot::channel();
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Trouble::Failed(format!("can't start a crowd: {error}")))?;
        let (mut come, theirs, ended) = (readers.to_vec(), Arc::clone(&deeds), end.clone());
        let thread = thread::Builder::new().name("crowd".to_owned()).spawn(move || {
            let stay = async move {
                let entrance = Rc::new(Entrance::new(door, way));
                let came = arrive(&entrance, &mut come, unfinished, &theirs).await;
                // Who asked for it may be gone: then so is the crowd, at once.
                let _clients = match came {
                    Ok(clients) => arrived.send(Ok(come)).ok().map(|()| clients),
                    Err(trouble) => arrived.send(Err(trouble)).ok().and(None),
                };
                ended.cancelled().await;
            };
            LocalSet::new().block_on(&runtime, stay);
        });
        thread.map_err(|error| Trouble::Failed(format!("no thread for a crowd: {error}")))?;
        let end = end.drop_guard();
        let came = arrival
            .await
            .map_err(|_| Trouble::Failed("the crowd's thread ended".to_owned()))??;
        // With their new tokens.
        readers.clone_from_slice(&came);
        Ok(Self { deeds, end })
    }
}

/// All of the crowd, on this thread.
async fn arrive(entrance: &Rc<Entrance>, readers: &mut [Account], unfinished: usize, deeds: &Arc<Deeds>) -> Result<JoinSet<()>, Trouble> {
    let mut clients = JoinSet::new();
    let entering = readers.iter_mut().enumerate().map(|(seat, account)| async move {
        let mut line = entrance.patiently(async || entrance.sign_in(seat, account, None).await).await?;
        let append = Append {
            log: LogId::archive_of(account.account),
            entry: EntryId::from(Uuid::now_v7()),
            kind: "app".to_owned(),
            epoch: None,
        };
        let block = Block::binary(vec![0; ASKED_BYTES]);
        line.ask(&entrance.pool, &append, &block).await?;
        Ok::<_, Trouble>((seat, account.clone(), line))
    });
    let lines: Vec<_> = stream::iter(entering).buffer_unordered(AT_ONCE).try_collect().await?;
    let wanted = (lines.len() + unfinished) as u64;
    for (seat, account, line) in lines {
        clients.spawn_local(never_read(Rc::clone(entrance), seat, account, line, Arc::clone(deeds)));
    }
    let servers = entrance.by_server().await?;
    for seat in 0..unfinished {
        let address = servers.address(seat).await?;
        clients.spawn_local(never_finish(address, Arc::clone(deeds)));
    }
    let arriving = async {
        while deeds.held.load(Relaxed) < wanted {
            sleep(Duration::from_millis(10)).await;
        }
    };
    // Who isn't let in by then is counted, and tries on.
    let _ = timeout(ARRIVAL, arriving).await;
    Ok(clients)
}

/// Asks and asks, and takes no answer.
async fn never_read(entrance: Rc<Entrance>, seat: usize, mut account: Account, line: Line, deeds: Arc<Deeds>) {
    let fetch = Fetch {
        log: LogId::archive_of(account.account),
        after: 0,
        limit: None,
    };
    let flood = encode_request(1, &fetch, &Block::none()).unwrap_or_default().repeat(FLOOD);
    let mut line = Some(line);
    loop {
        if let Some(line) = line.take() {
            let _held = Held::new(&deeds);
            let mut socket = line.into_socket();
            while socket.write_all(&flood).await.is_ok() {}
            deeds.closed.fetch_add(1, Relaxed);
        }
        match entrance.sign_in(seat, &mut account, None).await {
            Ok(again) => line = Some(again),
            Err(_) => {
                deeds.refused.fetch_add(1, Relaxed);
                sleep(PAUSE).await;
            }
        }
    }
}

/// Begins a frame, and waits for the end.
async fn never_finish(address: SocketAddr, deeds: Arc<Deeds>) {
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
                deeds.closed.fetch_add(1, Relaxed);
            }
            Err(_) => {
                deeds.refused.fetch_add(1, Relaxed);
                sleep(PAUSE).await;
            }
        }
    }
}
