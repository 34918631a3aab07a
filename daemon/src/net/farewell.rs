//! How a connection ends after a broken frame: the error is sent, the sending
//! half shut, and input discarded for a while, so that the peer reads the error
//! instead of a reset.

use fastchat_wire::limits::DISCARD_MS_MAX;
use std::{io::Write, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpStream,
};

/// Discards input until the peer closes, for at most [`DISCARD_MS_MAX`].
pub(crate) async fn discard<R: AsyncRead + Unpin>(mut socket: R) {
    let mut sink = [0u8; 4096];
    let drain = async { while matches!(socket.read(&mut sink).await, Ok(n) if n > 0) {} };
    // The time is the bound; running into it is the usual end of a peer that goes on sending.
    let _ = tokio::time::timeout(Duration::from_millis(DISCARD_MS_MAX), drain).await;
}

/// Tells somebody who is not let in why, and closes. There is no waiting for a
/// peer that is not even served: a fresh socket's buffer takes the bytes at once.
pub(crate) fn refuse(socket: TcpStream, answer: &[u8]) {
    // Whatever fails here, the connection is at its end.
    let _ = socket.into_std().and_then(|mut socket| {
        socket.write_all(answer)?;
        socket.shutdown(std::net::Shutdown::Write)
    });
}
