//! A wire that can be cut, frozen and healed.

use super::PATIENCE;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::timeout,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// Bytes pass.
    Whole,
    /// Connections stand, but no byte passes; those that come meanwhile pass later.
    Frozen,
    /// Connections stand, and what comes is taken and lost: a half-open link. Later only their end passes.
    Swallows,
    /// Connections end, and new ones too.
    Cut,
}

pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    wire: watch::Sender<Wire>,
    accepting: AbortHandle,
}

impl Proxy {
    pub(super) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (wire, _) = watch::channel(Wire::Whole);
        let told = wire.clone();
        let accepting = tokio::spawn(async move {
            let mut links = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                if *told.borrow() != Wire::Cut {
                    // A swallowed one stands, too, until the wire is whole.
                    links.spawn(carry(near, target, told.subscribe()));
                }
            }
        });
        Self {
            address,
            wire,
            accepting: accepting.abort_handle(),
        }
    }

    pub(super) fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(near: TcpStream, target: SocketAddr, mut wire: watch::Receiver<Wire>) {
    let Ok(Ok(far)) = timeout(PATIENCE, TcpStream::connect(target)).await else {
        return;
    };
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::select! {
        () = copy(near_read, far_write, wire.clone()) => {}
        () = copy(far_read, near_write, wire.clone()) => {}
        () = until(&mut wire, Wire::Cut) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut wire: watch::Receiver<Wire>) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(read) = from.read(&mut bytes).await
        && read > 0
    {
        if *wire.borrow() == Wire::Swallows {
            // Nothing of this connection makes sense any more.
            while let Ok(read) = from.read(&mut bytes).await
                && read > 0
            {}
            until(&mut wire, Wire::Whole).await;
            return;
        }
        until(&mut wire, Wire::Whole).await;
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

/// Waits for that state of the wire.
async fn until(wire: &mut watch::Receiver<Wire>, wanted: Wire) {
    let _ = wire.wait_for(|wire| *wire == wanted).await;
}
