//! One raw connection: frames out, frames in.

use bytes::Bytes;
use fastchat_wire::{
    AccountId, Block, Deframer, EntryId, ErrorBody, Event, EventName, Frame, FrameLimits, Kind, LogId, Request, Secret, Secret32,
    chat::{
        append::Append,
        assign::{Assign, Assigned},
        auth_params::Kdf,
        create::{ConversationKind, Create},
        entry::EntryEvent,
        fetch::{Fetch, Fetched},
        hello::{Hello, Welcome},
        register::{Register, Registered},
        resume::{Resume, Resumed},
    },
    encode_request,
    encoding::Bytes64,
};
use std::{collections::VecDeque, io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Nothing in these tests takes longer, but what waits for a limit to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One raw connection.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    deframer: Deframer,
    next_id: u64,
    /// Events that arrived while a response was waited for.
    pub(crate) events: VecDeque<Frame>,
}

/// A refusal, or the connection's end.
#[derive(Debug)]
pub(crate) enum Failure {
    Refused(ErrorBody),
    Gone(#[expect(dead_code, reason = "shown by Debug")] io::Error),
}

impl Failure {
    /// The error's code on the wire; `gone` for a connection's end.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Refused(error) => error.code.as_str(),
            Self::Gone(_) => "gone",
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

pub(crate) type Outcome<T> = Result<T, Failure>;

impl Client {
    pub(crate) async fn connect(address: &str) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            deframer: Deframer::new(FrameLimits::DEFAULT),
            next_id: 1,
            events: VecDeque::new(),
        })
    }

    /// Connects and says hello.
    pub(crate) async fn greeted(address: &str, ticket: Option<Secret>) -> Outcome<Self> {
        let mut client = Self::connect(address).await?;
        client.hello(ticket).await?;
        Ok(client)
    }

    /// Connects, says hello and registers a name.
    pub(crate) async fn registered(address: &str, name: &str) -> (Self, Registered) {
        let mut client = Self::greeted(address, None).await.expect("a server greets");
        let registered = client.register(name).await.expect("a new name registers");
        (client, registered)
    }

    /// The next frame of any kind.
    pub(crate) async fn frame(&mut self) -> io::Result<Frame> {
        timeout(PATIENCE, self.frame_unbounded())
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    async fn frame_unbounded(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(frame) = self.deframer.next().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))? {
                return Ok(frame);
            }
            let buffer = self.deframer.buffer_mut();
            buffer.reserve(64 << 10);
            if self.socket.read_buf(buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }

    /// Sends a request without waiting; its id.
    pub(crate) async fn send<R: Request>(&mut self, request: &R, block: &Block) -> io::Result<u64> {
        let id = self.next_id;
        self.next_id += 1;
        let frame = encode_request(id, request, block).expect("the request fits");
        self.write(&frame).await?;
        Ok(id)
    }

    /// The response to a request; events on the way are kept.
    pub(crate) async fn response(&mut self, id: u64) -> Outcome<Frame> {
        loop {
            let frame = self.frame().await?;
            match frame.head.kind {
                Kind::Response { re, .. } if re == Some(id) => {
                    return frame.failure().map_or(Ok(frame), |error| Err(Failure::Refused(error)));
                }
                Kind::Event { .. } => self.events.push_back(frame),
                _ => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("unexpected: {frame:?}")).into()),
            }
        }
    }

    /// A request and its answer, with the response's frame.
    pub(crate) async fn call<R: Request>(&mut self, request: &R, block: &Block) -> Outcome<(R::Response, Frame)> {
        let id = self.send(request, block).await?;
        let frame = self.response(id).await?;
        let response = frame.parse().map_err(Failure::Refused)?;
        Ok((response, frame))
    }

    /// The same without a block either way.
    pub(crate) async fn ask<R: Request>(&mut self, request: &R) -> Outcome<R::Response> {
        self.call(request, &Block::none()).await.map(|(response, _)| response)
    }

    /// Sends a header as it is written here, without a block; answers the next frame.
    pub(crate) async fn raw(&mut self, header: &str) -> io::Result<Frame> {
        self.write(&raw_frame(header, &[])).await?;
        self.frame().await
    }

    /// The next event of a kind; others are dropped.
    pub(crate) async fn event<E: Event>(&mut self) -> io::Result<(E, Bytes)> {
        loop {
            let frame = match self.events.pop_front() {
                Some(frame) => frame,
                None => self.frame().await?,
            };
            if matches!(frame.head.kind, Kind::Event { name: Some(name), .. } if name == E::NAME) {
                return Ok((frame.parse().map_err(io::Error::other)?, frame.block));
            }
        }
    }

    pub(crate) async fn hello(&mut self, ticket: Option<Secret>) -> Outcome<Welcome> {
        self.ask(&Hello {
            version: 1,
            agent: "fleet test".to_owned(),
            ticket,
        })
        .await
    }

    pub(crate) async fn register(&mut self, name: &str) -> Outcome<Registered> {
        self.call(&registration(name), &Block::binary(&b"a sealed keyring"[..]))
            .await
            .map(|(response, _)| response)
    }

    pub(crate) async fn resume(&mut self, token: &Secret) -> Outcome<Resumed> {
        self.ask(&Resume { token: token.clone() }).await
    }

    pub(crate) async fn create(&mut self, kind: ConversationKind, members: &[AccountId]) -> Outcome<LogId> {
        let create = Create {
            conversation: new_id(),
            kind,
            members: members.to_vec(),
        };
        self.ask(&create).await.map(|created| created.conversation)
    }

    /// Appends a text; its number.
    pub(crate) async fn append(&mut self, log: LogId, text: &str) -> Outcome<u64> {
        self.call(&append(log, new_id()), &Block::binary(text.as_bytes().to_vec()))
            .await
            .map(|(appended, _)| appended.seq)
    }

    /// A page of a log after a number.
    pub(crate) async fn fetch(&mut self, log: LogId, after: u64) -> Outcome<(Vec<(EntryEvent, Bytes)>, Fetched)> {
        let id = self
            .send(
                &Fetch {
                    log,
                    after,
                    limit: Some(500),
                },
                &Block::none(),
            )
            .await?;
        let mut entries = Vec::new();
        loop {
            let frame = self.frame().await?;
            match frame.head.kind {
                Kind::Event {
                    name: Some(EventName::Entry),
                    re,
                } if re == Some(id) => {
                    entries.push((frame.parse().map_err(Failure::Refused)?, frame.block));
                }
                Kind::Response { re, .. } if re == Some(id) => {
                    return match frame.failure() {
                        Some(error) => Err(Failure::Refused(error)),
                        None => Ok((entries, frame.parse().map_err(Failure::Refused)?)),
                    };
                }
                _ => self.events.push_back(frame),
            }
        }
    }

    /// All of a log.
    pub(crate) async fn whole(&mut self, log: LogId) -> Outcome<Vec<(EntryEvent, Bytes)>> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map_or(0, |(entry, _): &(EntryEvent, Bytes)| entry.seq);
            let (page, fetched) = self.fetch(log, after).await?;
            all.extend(page);
            if !fetched.more {
                return Ok(all);
            }
        }
    }

    /// True once the server has closed the connection; what it still sends is read.
    pub(crate) async fn is_closed_within(&mut self, patience: Duration) -> bool {
        let mut rest = [0u8; 4096];
        let read_on = async {
            loop {
                match self.socket.read(&mut rest).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        };
        timeout(patience, read_on).await.is_ok()
    }
}

/// A frame whose header is written by hand.
pub(crate) fn raw_frame(header: &str, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len()).expect("a header's length is 16 bits");
    [&length.to_be_bytes()[..], header.as_bytes(), block].concat()
}

/// A new id of any type, UUIDv7.
pub(crate) fn new_id<T: From<uuid::Uuid>>() -> T {
    uuid::Uuid::now_v7().into()
}

/// What a raw client uses in place of a password's derivation.
pub(crate) fn auth_of(name: &str) -> Secret32 {
    let mut bytes = [b'.'; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Secret32::new(bytes)
}

pub(crate) fn registration(name: &str) -> Register {
    Register {
        username: name.parse().expect("a username"),
        salt: Bytes64(vec![7; 16]),
        kdf: Kdf::registration(),
        auth: auth_of(name),
        recovery_auth: None,
        device_name: "test".to_owned(),
    }
}

pub(crate) fn append(log: LogId, entry: EntryId) -> Append {
    Append {
        log,
        entry,
        kind: "app".to_owned(),
        epoch: None,
    }
}

/// Asks the balancer for a server.
pub(crate) async fn assign(balancer: &str, request: &Assign) -> Outcome<Assigned> {
    Client::connect(balancer).await?.ask(request).await
}

/// Who somebody is.
#[derive(Debug, Clone)]
pub(crate) struct Me {
    pub(crate) account: AccountId,
    pub(crate) token: Secret,
}

impl From<Registered> for Me {
    fn from(registered: Registered) -> Self {
        Self {
            account: registered.account,
            token: registered.token,
        }
    }
}
