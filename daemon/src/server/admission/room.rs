//! Room for the blocks that are under way: not complete, or not committed.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room in KiB; first come, first served.
#[derive(Debug)]
pub(crate) struct Room {
    kib: Arc<Semaphore>,
    size: Mutex<Size>,
}

#[derive(Debug, Clone, Copy)]
struct Size {
    /// As it should be.
    wanted: usize,
    /// As it is: what is to go is still held.
    granted: usize,
}

/// Where there is no limit. A block takes at most 2^12.
const UNLIMITED_KIB: usize = 1 << 40;

fn kib_of(bytes: u64) -> usize {
    match usize::try_from(bytes >> 10) {
        Ok(kib) if bytes > 0 => kib.min(UNLIMITED_KIB),
        _ => UNLIMITED_KIB,
    }
}

impl Room {
    /// So much room; 0 is no limit.
    pub(super) fn of_bytes(bytes: u64) -> Self {
        let kib = kib_of(bytes);
        Self {
            kib: Arc::new(Semaphore::new(kib)),
            size: Mutex::new(Size { wanted: kib, granted: kib }),
        }
    }

    /// Another size: more at once, less as what is held is given back.
    pub(super) fn resize(&self, bytes: u64) {
        self.size.lock().unwrap_or_else(PoisonError::into_inner).wanted = kib_of(bytes);
        self.settle();
    }

    /// Takes away what was given back meanwhile.
    pub(super) fn settle(&self) {
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        if size.wanted > size.granted {
            self.kib.add_permits(size.wanted - size.granted);
            size.granted = size.wanted;
        } else {
            size.granted -= self.kib.forget_permits(size.granted - size.wanted);
        }
    }

    /// Room for a block, if there is.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.kib).try_acquire_many_owned(permits(bytes)).ok()
    }

    /// Room for a block, once there is.
    pub(crate) async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.kib).acquire_many_owned(permits(bytes)).await.ok()
    }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1_024)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const BLOCK: usize = 4 << 20;

    #[tokio::test]
    async fn a_block_at_the_limit_has_room_and_one_past_it_waits() {
        let room = Room::of_bytes(2 * BLOCK as u64);
        let first = room.take(BLOCK).await;
        let _second = room.take(BLOCK).await;
        assert!(room.try_take(1).is_none());
        assert!(room.take(1).now_or_never().is_none());
        drop(first);
        assert!(room.take(BLOCK).now_or_never().is_some());
        assert!(Room::of_bytes(0).try_take(BLOCK).is_some(), "no limit");
    }

    #[tokio::test]
    async fn less_room_is_in_force_once_what_is_held_is_given_back() {
        let room = Room::of_bytes(2 * BLOCK as u64);
        let held = room.take(2 * BLOCK).await;
        room.resize(BLOCK as u64);
        drop(held);
        room.settle();
        let held = room.try_take(BLOCK);
        assert!(held.is_some() && room.try_take(1).is_none());
        room.resize(2 * BLOCK as u64);
        assert!(room.try_take(BLOCK).is_some() && held.is_some());
    }
}
