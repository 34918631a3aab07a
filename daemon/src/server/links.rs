//! The links to all balancers that the spec names.

use super::{link, load::LoadMeter, start};
use crate::net::transport::Transport;
use fastchat_wire::control::{Peer, ServerSpec};
use std::sync::Arc;
use tokio::task::{AbortHandle, JoinSet};

/// The links to the balancers.
pub(super) struct Links {
    introduction: link::Introduction,
    transport: Transport,
    running: JoinSet<()>,
    balancers: Vec<(Peer, AbortHandle)>,
}

impl Links {
    /// No links yet.
    pub(super) fn new(introduction: link::Introduction, transport: Transport) -> Self {
        Self {
            introduction,
            transport,
            running: JoinSet::new(),
            balancers: Vec::new(),
        }
    }

    /// Keeps links to the spec's balancers and no others; where this server is
    /// to be introduced otherwise, they begin anew.
    pub(super) fn follow(&mut self, part: &ServerSpec, load: &Arc<LoadMeter>) {
        let introduction = start::introduction(part);
        let same = introduction.is_like(&self.introduction);
        self.introduction = introduction;
        self.balancers.retain(|(balancer, running)| {
            let stays = same && part.balancers.contains(balancer);
            if !stays {
                running.abort();
                load.reserved(&balancer.name, None);
            }
            stays
        });
        for balancer in &part.balancers {
            if !self.balancers.iter().any(|(known, _)| known == balancer) {
                let link = link::run(
                    self.introduction.clone(),
                    self.transport.clone(),
                    balancer.clone(),
                    Arc::clone(load),
                );
                let running = self.running.spawn(link);
                self.balancers.push((balancer.clone(), running));
            }
        }
        // Those that were aborted before are gone by now.
        while self.running.try_join_next().is_some() {}
    }

    /// Ends all links.
    pub(super) async fn end(mut self) {
        self.running.shutdown().await;
    }
}
