//! A relay: accepts, dials, carries both ways, and records.

use super::{
    super::client::raw_frame,
    liar::{self, Lie},
    tape::{Connection, Room, Tape},
};
use fastchat_wire::{Deframer, Frame, FrameLimits};
use serde_json::Value;
use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::spawn,
};

/// Everything that is on tape so far.
pub(super) type Connections = Arc<Mutex<Vec<Arc<Connection>>>>;

/// A relay; dropped, it accepts no more.
pub(super) struct Relay {
    pub(super) address: String,
    stopped: Arc<AtomicBool>,
}

/// Where a relay leads, and what it does with answers.
#[derive(Clone)]
pub(super) struct Target {
    /// For the tape.
    pub(super) name: String,
    pub(super) address: String,
    pub(super) manner: Manner,
}

/// What a relay does with what it carries.
#[derive(Clone)]
pub(super) enum Manner {
    /// Nothing.
    AsItIs,
    /// Addresses in answers become these.
    Addresses(Arc<HashMap<String, String>>),
    /// Answers and events become what a lie makes of them.
    Lying(Lie),
}

/// What becomes of bytes on one way.
pub(super) type Carried = Box<dyn FnMut(&[u8]) -> Vec<u8> + Send>;

impl Manner {
    /// For a new connection: from the client, and to it.
    fn carried(&self) -> (Carried, Carried) {
        let as_it_is = || -> Carried { Box::new(<[u8]>::to_vec) };
        match self {
            Self::AsItIs => (as_it_is(), as_it_is()),
            Self::Addresses(addresses) => {
                let (addresses, mut frames) = (Arc::clone(addresses), Deframer::new(FrameLimits::DEFAULT));
                (as_it_is(), Box::new(move |bytes| rewrite(&mut frames, bytes, &addresses)))
            }
            Self::Lying(lie) => liar::carried(Arc::clone(lie)),
        }
    }
}

impl Relay {
    pub(super) fn start(target: Target, connections: Connections, room: Arc<Room>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let stopped = Arc::new(AtomicBool::new(false));
        let relay = Self {
            address,
            stopped: Arc::clone(&stopped),
        };
        spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // A server that is down: the client sees its connection end.
                let Ok(fleet) = TcpStream::connect(&target.address) else { continue };
                let connection = Arc::new(Connection::new(&target.name, &room));
                connections.lock().expect("nobody panics with it").push(Arc::clone(&connection));
                carry_both_ways(client, fleet, connection, target.manner.carried());
            }
        });
        relay
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(&self.address);
    }
}

fn carry_both_ways(client: TcpStream, fleet: TcpStream, connection: Arc<Connection>, (up, down): (Carried, Carried)) {
    for socket in [&client, &fleet] {
        socket.set_nodelay(true).expect("a socket");
    }
    let (client_too, fleet_too) = (client.try_clone().expect("a handle"), fleet.try_clone().expect("a handle"));
    let recorded = Arc::clone(&connection);
    spawn(move || carry(client_too, &fleet_too, &recorded.up, up));
    spawn(move || {
        carry(fleet, &client, &connection.down, down);
        // The fleet's end is what counts: a client may notice late.
        connection.close();
    });
}

/// One way, until either end is gone. An end that only finished writing still reads.
fn carry(mut from: TcpStream, mut to: &TcpStream, tape: &Tape, mut pass: impl FnMut(&[u8]) -> Vec<u8>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(n) => {
                tape.record(&buffer[..n]);
                if to.write_all(&pass(&buffer[..n])).is_ok() {
                    continue;
                }
            }
            Err(_) => {}
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
        return;
    }
}

/// Whole frames of the balancer, with our addresses for its own.
fn rewrite(frames: &mut Deframer, bytes: &[u8], addresses: &HashMap<String, String>) -> Vec<u8> {
    frames.push(bytes);
    let mut out = Vec::new();
    while let Some(frame) = frames.next().expect("the balancer keeps to the framing") {
        out.extend(with_our_address(&frame, addresses));
    }
    out
}

fn with_our_address(frame: &Frame, addresses: &HashMap<String, String>) -> Vec<u8> {
    let mut header: Value = serde_json::from_slice(&frame.header).expect("a header is JSON");
    if let Some(address) = header.get_mut("address") {
        let theirs = address.as_str().expect("an address is text");
        let ours = addresses.get(theirs).unwrap_or_else(|| panic!("no relay for {theirs}"));
        *address = ours.clone().into();
    }
    raw_frame(&header.to_string(), &frame.block)
}
