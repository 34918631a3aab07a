//! The scripted fleet: a balancer and servers whose every answer a test writes.

use bytes::Bytes;
use fastchat_client::{Config, Entry, MemoryJournal, MemoryOutbox, Session, SessionEvent, Timing};
use fastchat_wire::{
    AccountId, Block, Code, Deframer, DeviceId, EntryId, ErrorBody, Event, Frame, FrameLimits, Kind, LogId, Op, Request, Secret,
    chat::{
        append::{Append, Appended},
        assign::{Assign, Assigned},
        conversations::{Conversation, Conversations, ConversationsPage},
        create::ConversationKind,
        entry::EntryEvent,
        fetch::{Fetch, Fetched},
        hello::{Hello, Welcome},
        members::Role,
        resume::{Resume, Resumed},
    },
    encode_event, encode_failure, encode_response,
};
use serde::Serialize;
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

pub(crate) const LOG: LogId = LogId([0x10; 16]);
pub(crate) const ACCOUNT: AccountId = AccountId([0xaa; 16]);
pub(crate) const DEVICE: DeviceId = DeviceId([0xdd; 16]);
pub(crate) const STORE: &str = "store-1";

/// Nothing in these tests takes longer.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), what).await.expect("it takes too long")
}

/// A balancer's or server's socket.
pub(crate) struct Fake {
    listener: TcpListener,
    pub(crate) address: String,
}

/// One client's connection, as the fleet sees it.
pub(crate) struct Peer {
    pub(crate) socket: TcpStream,
    deframer: Deframer,
}

/// A request, as it came.
pub(crate) struct Asked<R> {
    pub(crate) id: u64,
    pub(crate) request: R,
    pub(crate) block: Bytes,
}

impl Fake {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Self { listener, address }
    }

    pub(crate) async fn accept(&self) -> Peer {
        let (socket, _) = soon(self.listener.accept()).await.unwrap();
        Peer {
            socket,
            deframer: Deframer::new(FrameLimits::DEFAULT),
        }
    }

    /// As a balancer: sends the next client to a server; what it asked.
    pub(crate) async fn assign(&self, server: &Self, wait_ms: u64) -> Assign {
        let mut peer = self.accept().await;
        let asked = peer.expect::<Assign>().await;
        let assigned = Assigned {
            server: "s".to_owned(),
            address: Some(server.address.clone()),
            ticket: Secret::new("ticket".to_owned()),
            wait_ms,
            expires_in_ms: 10_000,
        };
        peer.answer(asked.id, &assigned, Block::none()).await;
        asked.request
    }

    /// As a server: takes the next client up to its live session.
    pub(crate) async fn sign_on(&self, token: &str, last_seq: u64) -> Peer {
        let mut peer = self.greet(STORE).await;
        let resume = peer.expect::<Resume>().await;
        assert_eq!(resume.request.token.expose(), token);
        peer.resumed(resume.id, token).await;
        peer.list(last_seq).await;
        peer
    }

    /// As a server: answers the next client's hello.
    pub(crate) async fn greet(&self, store: &str) -> Peer {
        let mut peer = self.accept().await;
        let hello = peer.expect::<Hello>().await;
        peer.welcome(hello.id, store).await;
        peer
    }
}

impl Peer {
    /// The next request, whatever it is; pings are answered by the way. `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.deframer.next().unwrap() {
                if let Kind::Request { op: Some(Op::Ping), id } = frame.head.kind {
                    self.answer(id, &fastchat_wire::Empty {}, Block::none()).await;
                    continue;
                }
                return Some(frame);
            }
            match soon(self.socket.read_buf(self.deframer.buffer_mut())).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next request, which must be this verb.
    pub(crate) async fn expect<R: Request>(&mut self) -> Asked<R> {
        let frame = self.next().await.expect("the client closed");
        let Kind::Request { op, id } = frame.head.kind else {
            panic!("no request: {frame:?}");
        };
        assert_eq!(op, Some(R::OP), "{frame:?}");
        Asked {
            id,
            request: frame.parse().unwrap(),
            block: frame.block,
        }
    }

    /// The client closes without asking anything more.
    pub(crate) async fn expect_end(&mut self) {
        if let Some(frame) = self.next().await {
            panic!("a request instead of the end: {frame:?}");
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        soon(self.socket.write_all(bytes)).await.unwrap();
    }

    pub(crate) async fn answer<T: Serialize>(&mut self, id: u64, response: &T, block: Block) {
        let frame = encode_response(id, response, &block).unwrap();
        self.write(&frame).await;
    }

    pub(crate) async fn refuse(&mut self, id: u64, code: Code, retry_after_ms: Option<u64>) {
        let error = ErrorBody {
            code,
            message: "so the test wants".to_owned(),
            retry_after_ms,
        };
        let frame = encode_failure(Some(id), &error, &fastchat_wire::Empty {}).unwrap();
        self.write(&frame).await;
    }

    pub(crate) async fn push<E: Event>(&mut self, event: &E, block: &str) {
        let frame = encode_event(None, event, &Block::binary(block.to_owned())).unwrap();
        self.write(&frame).await;
    }

    /// Pushes entries of [`LOG`].
    pub(crate) async fn ring(&mut self, seqs: &[u64]) {
        for seq in seqs {
            self.push(&head(*seq), &seq.to_string()).await;
        }
    }

    pub(crate) async fn welcome(&mut self, id: u64, store: &str) {
        let welcome = Welcome {
            server: "s".to_owned(),
            version: 1,
            store: store.to_owned(),
            max_header: 16_384,
            max_block: 4 << 20,
            ping_interval_ms: 30_000,
            features: Vec::new(),
        };
        self.answer(id, &welcome, Block::none()).await;
    }

    pub(crate) async fn resumed(&mut self, id: u64, token: &str) {
        let resumed = Resumed {
            account: ACCOUNT,
            device: DEVICE,
            token: Secret::new(token.to_owned()),
        };
        self.answer(id, &resumed, Block::none()).await;
    }

    /// Answers `conversations`: [`LOG`] is the only one.
    pub(crate) async fn list(&mut self, last_seq: u64) {
        let asked = self.expect::<Conversations>().await;
        let page = ConversationsPage {
            more: false,
            inbox: None,
            archive: None,
        };
        let conversation = Conversation {
            conversation: LOG,
            kind: ConversationKind::Group,
            role: Role::Member,
            from_seq: 1,
            last_seq,
            epoch: 0,
            members: 2,
            read: 0,
        };
        self.answer(asked.id, &page, Block::json(&[conversation])).await;
    }

    /// Answers a `fetch` of [`LOG`], which must be after `after`, up to `last`.
    pub(crate) async fn serve_fetch(&mut self, after: u64, last: u64) {
        let asked = self.expect::<Fetch>().await;
        assert_eq!((asked.request.log, asked.request.after), (LOG, after));
        for seq in after + 1..=last {
            let frame = encode_event(Some(asked.id), &head(seq), &Block::binary(seq.to_string())).unwrap();
            self.write(&frame).await;
        }
        let fetched = Fetched {
            first_seq: 1,
            last_seq: last,
            more: false,
        };
        self.answer(asked.id, &fetched, Block::none()).await;
    }

    /// Answers an `append`; its entry and block.
    pub(crate) async fn take_append(&mut self, seq: u64) -> (EntryId, Bytes) {
        let asked = self.expect::<Append>().await;
        self.appended(asked.id, seq).await;
        (asked.request.entry, asked.block)
    }

    pub(crate) async fn appended(&mut self, id: u64, seq: u64) {
        let appended = Appended {
            seq,
            at: seq,
            duplicate: false,
        };
        self.answer(id, &appended, Block::none()).await;
    }
}

/// An entry of [`LOG`]; its block is its number.
pub(crate) fn head(seq: u64) -> EntryEvent {
    EntryEvent {
        log: LOG,
        seq,
        at: seq,
        kind: "app".to_owned(),
        entry: EntryId([u8::try_from(seq % 251).unwrap(); 16]),
        from: Some(AccountId([1; 16])),
        device: Some(DeviceId([2; 16])),
        epoch: None,
        block_sha256: None,
    }
}

/// A session with what it keeps.
pub(crate) struct Subject {
    pub(crate) session: Session,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) outbox: Arc<MemoryOutbox>,
}

pub(crate) fn config(balancers: &[&Fake]) -> Config {
    Config {
        balancers: balancers.iter().map(|fake| fake.address.parse().unwrap()).collect(),
        timing: Timing {
            backoff_min: Duration::from_millis(20),
            backoff_max: Duration::from_millis(100),
            farewell: Duration::from_millis(500),
            ..Timing::default()
        },
        ..Config::new("127.0.0.1:1").unwrap()
    }
}

impl Subject {
    pub(crate) fn start(balancer: &Fake) -> Self {
        Self::with(config(&[balancer]), MemoryJournal::with_token(Secret::new("t1".to_owned())))
    }

    pub(crate) fn with(config: Config, journal: MemoryJournal) -> Self {
        let journal = Arc::new(journal);
        let outbox = Arc::new(MemoryOutbox::default());
        let session = Session::start(config, journal.clone(), outbox.clone());
        Self { session, journal, outbox }
    }

    pub(crate) async fn next(&mut self) -> SessionEvent {
        soon(self.session.next()).await.unwrap()
    }

    /// The next entry, whatever comes before it.
    pub(crate) async fn entry(&mut self) -> (Entry, Arc<str>) {
        loop {
            if let SessionEvent::Entry { entry, store } = self.next().await {
                return (entry, store);
            }
        }
    }

    /// The next entries must have these numbers.
    pub(crate) async fn entries(&mut self, seqs: &[u64]) {
        for seq in seqs {
            assert_eq!(self.entry().await.0.seq(), *seq);
        }
    }

    /// The next event that `which` takes.
    pub(crate) async fn until<T>(&mut self, which: impl Fn(SessionEvent) -> Option<T>) -> T {
        loop {
            if let Some(found) = which(self.next().await) {
                return found;
            }
        }
    }

    pub(crate) async fn send(&self, block: &str) -> EntryId {
        self.session.send(LOG, "app", Bytes::from(block.to_owned())).await.unwrap()
    }
}
