//! A server that lies: a relay that reads what the real one says, and says something else.
//!
//! ```text
//!  fastchat ──────────── requests, as they are ───────────> fastchatd
//!      └<── what the lie makes of it <── relay <── answers, events ──┘
//! ```

use super::{super::client::raw_frame, relay::Carried};
use bytes::Bytes;
use fastchat_wire::{Deframer, Frame, FrameLimits, Kind, Op};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// One frame of a server, before its client reads it.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// The verb that it answers; none for an event.
    pub(super) answers: Option<Op>,
    pub(super) header: Value,
    pub(super) pieces: Vec<Bytes>,
}

/// What is said in place of it: nothing, something else, more.
pub(super) type Lie = Arc<Mutex<dyn FnMut(Told) -> Vec<Told> + Send>>;

/// A lie.
pub(super) fn lie(lie: impl FnMut(Told) -> Vec<Told> + Send + 'static) -> Lie {
    Arc::new(Mutex::new(lie))
}

impl Told {
    /// True for an entry of any log, pushed or fetched.
    pub(super) fn is_entry(&self) -> bool {
        self.header["event"] == "entry"
    }

    /// The entry's number.
    pub(super) fn seq(&self) -> Option<u64> {
        self.header["seq"].as_u64()
    }

    /// In place of an answer, even of a refusal: these pieces.
    pub(super) fn replaced(mut self, pieces: Vec<Bytes>) -> Self {
        self.header = json!({"re": self.header["re"]});
        self.pieces = pieces;
        self
    }

    fn read(frame: &Frame, asked: &mut HashMap<u64, Op>) -> Self {
        let answers = match frame.head.kind {
            Kind::Response { re: Some(id), .. } => asked.remove(&id),
            _ => None,
        };
        Self {
            answers,
            header: serde_json::from_slice(&frame.header).expect("a header is JSON"),
            pieces: frame.pieces(),
        }
    }

    fn bytes(mut self) -> Vec<u8> {
        let block = self.pieces.concat();
        let header = self.header.as_object_mut().expect("a header is an object");
        header.insert("content-length".to_owned(), block.len().into());
        if self.pieces.len() > 1 || header.contains_key("parts") {
            let parts: Vec<usize> = self.pieces.iter().map(Bytes::len).collect();
            header.insert("parts".to_owned(), json!(parts));
        }
        raw_frame(&self.header.to_string(), &block)
    }
}

/// The two directions of a connection to a server that lies.
pub(super) fn carried(lie: Lie) -> (Carried, Carried) {
    let asked = Arc::new(Mutex::new(HashMap::new()));
    let mut requests = Deframer::new(FrameLimits::DEFAULT);
    let noted = Arc::clone(&asked);
    let up = move |bytes: &[u8]| {
        requests.push(bytes);
        while let Some(frame) = requests.next().expect("a client keeps to the framing") {
            if let Kind::Request { op: Some(op), id } = frame.head.kind {
                noted.lock().expect("nobody panics with it").insert(id, op);
            }
        }
        bytes.to_vec()
    };
    let mut answers = Deframer::new(FrameLimits::DEFAULT);
    let down = move |bytes: &[u8]| {
        answers.push(bytes);
        let mut said = Vec::new();
        while let Some(frame) = answers.next().expect("a server keeps to the framing") {
            let told = Told::read(&frame, &mut asked.lock().expect("nobody panics with it"));
            let lies = (lie.lock().expect("no lie panics"))(told);
            said.extend(lies.into_iter().flat_map(Told::bytes));
        }
        said
    };
    (Box::new(up), Box::new(down))
}
