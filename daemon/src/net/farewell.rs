//! How a connection ends after a broken frame: the error is sent, the sending
//! half shut, and input discarded for a while, so that the peer reads the error
//! instead of a reset.

use super::scratch::{READ_BYTES, read_into};
use bytes::BytesMut;
use fastchat_wire::limits::DISCARD_MS_MAX;
use std::{io::Write, time::Duration};
use tokio::{io::AsyncRead, net::TcpStream};

/// Discards input until the peer closes, for at most [`DISCARD_MS_MAX`].
pub(crate) async fn discard<R: AsyncRead + Unpin>(mut socket: R) {
    // Not an array: it would be part of every connection's task from its begin.
    let mut sink = BytesMut::new();
    let drain = async {
        while matches!(read_into(&mut socket, &mut sink, READ_BYTES).await, Ok(n) if n > 0) {
            sink.clear();
        }
    };
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
