//! A client, as raw as they come.

use super::PATIENCE;
use bytes::Bytes;
use fastchat_wire::{
    AccountId, Code, Deframer, DeviceId, EntryId, ErrorBody, Event, EventName, Frame, FrameLimits, Kind, LogId, Request, Secret, Secret32,
    chat::{
        append::{Append, Appended},
        auth_params::Kdf,
        conversations::{Conversation, Conversations, ConversationsPage},
        create::{ConversationKind, Create, Created},
        entry::EntryEvent,
        fetch::{Fetch, Fetched},
        hello::Hello,
        login::{LoggedIn, Login, Method},
        register::{Register, Registered},
        resume::{Resume, Resumed},
    },
    encode_request,
    encoding::Bytes64,
    frame::Block,
};
use std::{collections::VecDeque, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use uuid::Uuid;

pub(super) struct Client {
    pub(super) stream: TcpStream,
    deframer: Deframer,
    requests: u64,
    /// What came while an answer was awaited.
    events: VecDeque<Frame>,
    pub(super) account: AccountId,
    pub(super) device: DeviceId,
    pub(super) token: Secret,
}

/// One `entry` event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pushed {
    pub(super) event: EntryEvent,
    pub(super) block: Bytes,
}

impl Client {
    /// Connected, and hello said.
    pub(super) async fn dial(address: SocketAddr) -> Self {
        let mut client = Self::silent(address).await;
        client.ask(&hello(None)).await.unwrap();
        client
    }

    /// Connected.
    pub(super) async fn silent(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            deframer: Deframer::new(FrameLimits::DEFAULT),
            requests: 0,
            events: VecDeque::new(),
            account: AccountId([0; 16]),
            device: DeviceId([0; 16]),
            token: Secret::new(String::new()),
        }
    }

    pub(super) async fn register(&mut self, username: &str) {
        let register = Register {
            username: username.parse().unwrap(),
            salt: Bytes64(vec![3; 16]),
            kdf: Kdf::registration(),
            auth: Secret32::new([1; 32]),
            recovery_auth: None,
            device_name: "laptop".to_owned(),
        };
        let (registered, _) = self.ask_with(&register, &Block::binary("keyring")).await.unwrap();
        let Registered { account, device, token } = registered;
        (self.account, self.device, self.token) = (account, device, token);
    }

    /// Signs in on a new device.
    pub(super) async fn login(&mut self, username: &str) {
        let login = Login {
            username: username.parse().unwrap(),
            auth: Secret32::new([1; 32]),
            method: Method::Password,
            device: None,
            new_device: None,
            device_name: None,
        };
        let LoggedIn {
            account, device, token, ..
        } = self.ask(&login).await.unwrap();
        (self.account, self.device, self.token) = (account, device, token);
    }

    /// Signs in with another one's session.
    pub(super) async fn resume(&mut self, other: &Self) {
        self.resume_with(other.token.clone()).await;
    }

    pub(super) async fn resume_with(&mut self, token: Secret) {
        let resume = Resume { token };
        let Resumed { account, device, token } = self.ask(&resume).await.unwrap();
        (self.account, self.device, self.token) = (account, device, token);
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// A header as it stands, with its length before it.
    pub(super) async fn send_header(&mut self, header: &str) {
        let length = u16::try_from(header.len()).unwrap().to_be_bytes();
        self.send(&[&length, header.as_bytes()].concat()).await;
    }

    /// Sends a request and answers its id.
    pub(super) async fn request<R: Request>(&mut self, request: &R, block: &Block) -> u64 {
        self.requests += 1;
        let bytes = encode_request(self.requests, request, block).unwrap();
        self.send(&bytes).await;
        self.requests
    }

    pub(super) async fn ask<R: Request>(&mut self, request: &R) -> Result<R::Response, ErrorBody> {
        self.ask_with(request, &Block::none()).await.map(|(response, _)| response)
    }

    pub(super) async fn ask_with<R: Request>(&mut self, request: &R, block: &Block) -> Result<(R::Response, Frame), ErrorBody> {
        let id = self.request(request, block).await;
        let frame = self.response(id).await;
        match frame.failure() {
            Some(error) => Err(error),
            None => Ok((frame.parse().unwrap(), frame)),
        }
    }

    /// The next frame from the socket; `None` at the end.
    pub(super) async fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.deframer.next().unwrap() {
                return Some(frame);
            }
            let read = timeout(PATIENCE, self.stream.read_buf(self.deframer.buffer_mut())).await;
            if read.expect("nothing came").unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// The answer to a request; events before it are kept.
    pub(super) async fn response(&mut self, id: u64) -> Frame {
        loop {
            let frame = self.read().await.expect("the server has closed");
            match frame.head.kind {
                Kind::Response { re, .. } => {
                    assert_eq!(re, Some(id), "{frame:?}");
                    return frame;
                }
                _ => self.events.push_back(frame),
            }
        }
    }

    /// The next answer, whatever its request.
    pub(super) async fn answer(&mut self) -> Frame {
        loop {
            let frame = self.read().await.expect("the server has closed");
            if matches!(frame.head.kind, Kind::Response { .. }) {
                return frame;
            }
            self.events.push_back(frame);
        }
    }

    /// The next event with that name; others before it are passed over.
    pub(super) async fn event<E: Event>(&mut self) -> (E, Bytes) {
        loop {
            let frame = match self.events.pop_front() {
                Some(frame) => frame,
                None => self.read().await.expect("the server has closed"),
            };
            if matches!(frame.head.kind, Kind::Event { name: Some(name), .. } if name == E::NAME) {
                return (frame.parse().unwrap(), frame.block);
            }
        }
    }

    /// The next entry that is pushed.
    pub(super) async fn pushed(&mut self) -> Pushed {
        let (event, block) = self.event::<EntryEvent>().await;
        Pushed { event, block }
    }

    /// The next push of a log with that number or a later one.
    pub(super) async fn pushed_from(&mut self, log: LogId, seq: u64) -> Pushed {
        loop {
            let pushed = self.pushed().await;
            if pushed.event.log == log && pushed.event.seq >= seq {
                return pushed;
            }
        }
    }

    /// True where nothing with that name comes within a while.
    pub(super) async fn hears_nothing(&mut self, name: EventName, within: Duration) -> bool {
        let is_it = |frame: &Frame| matches!(frame.head.kind, Kind::Event { name: Some(it), .. } if it == name);
        if self.events.iter().any(is_it) {
            return false;
        }
        let hearing = async {
            loop {
                match self.read().await {
                    Some(frame) if is_it(&frame) => return,
                    Some(frame) => self.events.push_back(frame),
                    None => std::future::pending().await,
                }
            }
        };
        timeout(within, hearing).await.is_err()
    }

    /// Waits for the end; answers the code of the last failure before it.
    pub(super) async fn end(&mut self) -> Option<Code> {
        let mut code = None;
        while let Some(frame) = self.read().await {
            code = frame.failure().map(|error| error.code).or(code);
        }
        code
    }

    pub(super) async fn create(&mut self, kind: ConversationKind, others: &[&Self]) -> LogId {
        let create = Create {
            conversation: Uuid::now_v7().into(),
            kind,
            members: others.iter().map(|other| other.account).collect(),
        };
        let Created { conversation, .. } = self.ask(&create).await.unwrap();
        conversation
    }

    pub(super) async fn append(&mut self, log: LogId, block: &str) -> Appended {
        let append = append(log);
        let (appended, _) = self.ask_with(&append, &Block::binary(block.to_owned())).await.unwrap();
        appended
    }

    pub(super) async fn conversations(&mut self) -> (ConversationsPage, Vec<Conversation>) {
        let ask = Conversations { after: None, limit: 500 };
        let (page, frame) = self.ask_with(&ask, &Block::none()).await.unwrap();
        (page, serde_json::from_slice(&frame.block).unwrap())
    }

    /// A page of a log.
    pub(super) async fn fetch(&mut self, log: LogId, after: u64) -> (Vec<Pushed>, Fetched) {
        let id = self.request(&Fetch { log, after, limit: None }, &Block::none()).await;
        let mut entries = Vec::new();
        loop {
            let frame = self.read().await.expect("the server has closed");
            match frame.head.kind {
                Kind::Event { re: Some(re), .. } if re == id => entries.push(Pushed {
                    event: frame.parse().unwrap(),
                    block: frame.block.clone(),
                }),
                Kind::Response { re: Some(re), .. } if re == id => return (entries, frame.parse().unwrap()),
                _ => self.events.push_back(frame),
            }
        }
    }
}

pub(super) fn hello(ticket: Option<Secret>) -> Hello {
    Hello {
        version: 1,
        agent: "test".into(),
        ticket,
    }
}

pub(super) fn append(log: LogId) -> Append {
    Append {
        log,
        entry: EntryId::from(Uuid::now_v7()),
        kind: "app".into(),
        epoch: None,
    }
}
