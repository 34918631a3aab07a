//! What went through a relay.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// All tapes of a run together hold at most this.
pub(super) const BYTES_MAX: usize = 512 << 20;

/// Room that tapes share.
#[derive(Debug, Default)]
pub(super) struct Room(AtomicUsize);

impl Room {
    fn take(&self, bytes: usize) -> bool {
        self.0.fetch_add(bytes, Ordering::Relaxed) + bytes <= BYTES_MAX
    }

    /// True while nothing was left off any tape.
    pub(super) fn was_enough(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= BYTES_MAX
    }
}

/// One direction of one connection, from its first byte.
#[derive(Debug)]
pub(super) struct Tape {
    bytes: Mutex<Vec<u8>>,
    room: Arc<Room>,
}

impl Tape {
    fn new(room: &Arc<Room>) -> Self {
        Self {
            bytes: Mutex::default(),
            room: Arc::clone(room),
        }
    }

    pub(super) fn record(&self, bytes: &[u8]) {
        if self.room.take(bytes.len()) {
            self.bytes.lock().expect("nobody panics with it").extend_from_slice(bytes);
        }
    }

    /// A copy of it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().expect("nobody panics with it").clone()
    }
}

/// A connection through a relay.
#[derive(Debug)]
pub(super) struct Connection {
    /// `balancer`, or a server's name.
    pub(super) to: String,
    /// From the client.
    pub(super) up: Tape,
    /// To the client, as the fleet sent it.
    pub(super) down: Tape,
    open: AtomicBool,
}

impl Connection {
    pub(super) fn new(to: &str, room: &Arc<Room>) -> Self {
        Self {
            to: to.to_owned(),
            up: Tape::new(room),
            down: Tape::new(room),
            open: AtomicBool::new(true),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
    }
}
