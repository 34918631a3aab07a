//! What of blobs is in memory.

use bytes::Bytes;
use prometheus::IntGauge;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Bytes that are counted while this lives.
#[derive(Debug)]
pub(crate) struct Held {
    gauge: IntGauge,
    bytes: i64,
}

impl Held {
    pub(super) fn new(gauge: &IntGauge, bytes: usize) -> Self {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        gauge.add(bytes);
        Self {
            gauge: gauge.clone(),
            bytes,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.sub(self.bytes);
    }
}

/// A frame that keeps its place among a connection's answers until it is written, or thrown away with its connection.
pub(crate) fn until_written(frame: Bytes, place: Arc<(Held, OwnedSemaphorePermit)>) -> Bytes {
    struct Placed {
        frame: Bytes,
        _place: Arc<(Held, OwnedSemaphorePermit)>,
    }
    impl AsRef<[u8]> for Placed {
        fn as_ref(&self) -> &[u8] {
            &self.frame
        }
    }
    Bytes::from_owner(Placed { frame, _place: place })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn a_frame_has_its_place_and_is_counted_until_the_last_of_it_is_dropped() {
        let gauge = IntGauge::new("bytes", "bytes").unwrap();
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        let frame = until_written(Bytes::from_static(b"abc"), Arc::new((Held::new(&gauge, 3), place)));
        let written = frame.clone();
        drop(frame);
        assert_eq!((&written[..], gauge.get(), places.available_permits()), (&b"abc"[..], 3, 0));
        drop(written);
        assert_eq!((gauge.get(), places.available_permits()), (0, 1));
    }
}
