//! How a connection ends after a broken frame: the error is sent, the sending
//! half shut, and input discarded for a while, so that the peer reads the error
//! instead of a reset.

use fastchat_wire::limits::DISCARD_MS_MAX;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Discards input until the peer closes, for at most [`DISCARD_MS_MAX`].
pub(crate) async fn discard<R: AsyncRead + Unpin>(mut socket: R) {
    let mut sink = [0u8; 4096];
    let drain = async { while matches!(socket.read(&mut sink).await, Ok(n) if n > 0) {} };
    // The time is the bound; running into it is the usual end of a peer that goes on sending.
    let _ = tokio::time::timeout(Duration::from_millis(DISCARD_MS_MAX), drain).await;
}
