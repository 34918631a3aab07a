//! A client or a server, as raw as they come.

use super::{PATIENCE, fleet_key};
use bytes::Bytes;
use fastchat_wire::{
    Code, Deframer, Event, Frame, FrameLimits, Kind, Request,
    chat::assign::{Assign, Assigned},
    encode_event, encode_request,
    frame::Block,
    link::{attach::Attach, load::Load, reserved::Reserved},
};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub(super) struct Peer {
    pub(super) stream: TcpStream,
    deframer: Deframer,
    requests: u64,
}

pub(super) fn load(connections: u64) -> Load {
    Load {
        connections,
        ..Load::default()
    }
}

pub(super) fn attach_as(name: &str, connections: u64) -> Attach {
    Attach {
        server: name.into(),
        address: format!("{name}.test:7110"),
        weight: 1.0,
        token: fleet_key().attach_token(name),
        redeemed: Vec::new(),
        load: load(connections),
    }
}

impl Peer {
    pub(super) async fn dial(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            deframer: Deframer::new(FrameLimits::DEFAULT),
            requests: 0,
        }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// A header as it stands, with its length before it.
    pub(super) async fn send_header(&mut self, header: &str) {
        self.send(&framed(header)).await;
    }

    pub(super) async fn ask<R: Request>(&mut self, request: &R) -> Frame {
        self.requests += 1;
        let bytes = encode_request(self.requests, request, &Block::none()).unwrap();
        self.send(&bytes).await;
        let answer = self.response().await;
        let re = Some(self.requests);
        assert!(matches!(answer.head.kind, Kind::Response { re: to, .. } if to == re), "{answer:?}");
        answer
    }

    pub(super) async fn tell<E: Event>(&mut self, event: &E) {
        let bytes = encode_event(None, event, &Block::none()).unwrap();
        self.send(&bytes).await;
    }

    pub(super) async fn assign(&mut self) -> Assigned {
        self.ask(&Assign::default()).await.parse().unwrap()
    }

    /// The next frame; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.deframer.next().unwrap() {
                return Some(frame);
            }
            let read = timeout(PATIENCE, self.stream.read_buf(self.deframer.buffer_mut())).await;
            if read.expect("nothing came").unwrap() == 0 {
                return None;
            }
        }
    }

    /// The next response; events before it are passed over.
    pub(super) async fn response(&mut self) -> Frame {
        loop {
            let frame = self.next().await.expect("the balancer has closed");
            if matches!(frame.head.kind, Kind::Response { .. }) {
                return frame;
            }
        }
    }

    pub(super) async fn failure(&mut self) -> (Option<u64>, Code) {
        let frame = self.response().await;
        let Kind::Response { re, .. } = frame.head.kind else {
            unreachable!()
        };
        (re, frame.failure().expect("a failure").code)
    }

    /// Waits until the balancer tells this many reservations.
    pub(super) async fn expect_reserved(&mut self, count: u64) {
        loop {
            let frame = self.next().await.expect("the balancer has closed");
            if matches!(frame.head.kind, Kind::Event { .. }) && frame.parse::<Reserved>().unwrap().count == count {
                return;
            }
        }
    }

    /// Waits for the end; whatever comes before it is passed over.
    pub(super) async fn expect_end(&mut self) {
        while self.next().await.is_some() {}
    }
}

pub(super) fn framed(header: &str) -> Bytes {
    let length = u16::try_from(header.len()).unwrap().to_be_bytes();
    [&length, header.as_bytes()].concat().into()
}
