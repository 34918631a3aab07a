//! A relay before the whole fleet that counts frames, and sees to it that who comes through it stays on it.
//!
//! ```text
//!  one person ──> relay ──> balancer
//!           └───> relay ──> s1 | s2 | s3      (the addresses that `assign` gives are the relays')
//! ```

use super::fleet::Fleet;
use anyhow::Context;
use fastchat_wire::{Deframer, Frame, FrameLimits, header::Kind};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread::spawn,
};

/// Frames and their bytes: length, header and block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
}

/// By what they are, as in `to the server: append`.
pub(crate) type Counts = BTreeMap<String, Count>;

/// All relays of one person.
pub(crate) struct Relays {
    balancer: String,
    counts: Arc<Mutex<Counts>>,
}

/// What stands in place of the servers' addresses.
type Addresses = Arc<HashMap<String, String>>;

impl Relays {
    pub(crate) fn before(fleet: &Fleet) -> anyhow::Result<Self> {
        let counts = Arc::default();
        let mut addresses = HashMap::new();
        for server in fleet.servers() {
            let ours = start(server.address.clone(), Arc::clone(&counts), Addresses::default())?;
            addresses.insert(server.address.clone(), ours);
        }
        let balancer = start(fleet.balancer().to_owned(), Arc::default(), Arc::new(addresses))?;
        Ok(Self { balancer, counts })
    }

    pub(crate) fn balancer(&self) -> &str {
        &self.balancer
    }

    /// What has gone through to and from servers so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Accepts for as long as the program runs.
fn start(target: String, counts: Arc<Mutex<Counts>>, addresses: Addresses) -> anyhow::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?.to_string();
    spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let (target, counts, addresses) = (target.clone(), Arc::clone(&counts), Arc::clone(&addresses));
            if let Err(error) = carry_both_ways(&client, &target, &counts, &addresses) {
                eprintln!("a relay's connection ended: {error:#}");
            }
        }
    });
    Ok(address)
}

fn carry_both_ways(client: &TcpStream, target: &str, counts: &Arc<Mutex<Counts>>, addresses: &Addresses) -> anyhow::Result<()> {
    let fleet = TcpStream::connect(target)?;
    // The verbs of the requests that wait for an answer.
    let asked: Arc<Mutex<HashMap<u64, String>>> = Arc::default();
    for (from, to, way) in [(client, &fleet, "to the server"), (&fleet, client, "from the server")] {
        from.set_nodelay(true)?;
        let (from, to) = (from.try_clone()?, to.try_clone()?);
        let (counts, addresses, asked) = (Arc::clone(counts), Arc::clone(addresses), Arc::clone(&asked));
        spawn(move || {
            let pass = |frame: &Frame| {
                let what = format!("{way}: {}", name(frame, &asked));
                let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                let count = counts.entry(what).or_default();
                count.frames += 1;
                count.bytes += 2 + (frame.header.len() + frame.block.len()) as u64;
            };
            // Ends with either end.
            let _ = carry(&from, &to, &addresses, pass);
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

/// One way, frame by frame.
fn carry(mut from: &TcpStream, mut to: &TcpStream, addresses: &HashMap<String, String>, pass: impl Fn(&Frame)) -> anyhow::Result<()> {
    let mut frames = Deframer::new(FrameLimits::DEFAULT);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        frames.push(&buffer[..read]);
        while let Some(frame) = frames.next().context("both keep to the framing")? {
            pass(&frame);
            to.write_all(&with_our_address(&frame, addresses)?)?;
        }
    }
}

fn with_our_address(frame: &Frame, addresses: &HashMap<String, String>) -> anyhow::Result<Vec<u8>> {
    let mut header = frame.header.to_vec();
    if !addresses.is_empty() {
        let mut value: Value = serde_json::from_slice(&header)?;
        if let Some(ours) = value["address"].as_str().and_then(|theirs| addresses.get(theirs)) {
            value["address"] = ours.as_str().into();
            header = serde_json::to_vec(&value)?;
        }
    }
    Ok([&u16::try_from(header.len())?.to_be_bytes()[..], &header, &frame.block].concat())
}

/// What a frame is, for people.
fn name(frame: &Frame, asked: &Mutex<HashMap<u64, String>>) -> String {
    let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    match frame.head.kind {
        Kind::Request { op, id } => {
            let name = op.map_or("unknown", |op| op.as_str()).to_owned();
            asked.insert(id, name.clone());
            name
        }
        Kind::Response { re, .. } => {
            let name = re.and_then(|id| asked.remove(&id)).unwrap_or_else(|| "unknown".to_owned());
            format!("answer to {name}")
        }
        Kind::Event { name, .. } => format!("event {}", name.map_or("unknown", |name| name.as_str())),
    }
}
