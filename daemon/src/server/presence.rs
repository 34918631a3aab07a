//! Who is online where. Pure: messages in, messages out.
//!
//! Each server owns the set of accounts that are signed in on it and tells the
//! others its changes, numbered; they acknowledge, and drop the whole set when
//! the link dies. A session's first answer that must not miss pushes waits
//! until the live peers have acknowledged it.

use fastchat_wire::AccountId;
use std::collections::{HashMap, HashSet};

/// Who is online on the other servers, and what they know of this one.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    peers: HashMap<String, Peer>,
    /// Changes of the own set so far.
    announced: u64,
}

#[derive(Debug, Default)]
struct Peer {
    /// Accounts that are online there.
    accounts: HashSet<AccountId>,
    /// It receives from us.
    listening: bool,
    /// The last of our changes that it acknowledged.
    acknowledged: u64,
}

impl Presence {
    /// The own set changed: the number of the change, to be told to all peers.
    pub(crate) fn announce(&mut self) -> u64 {
        self.announced += 1;
        self.announced
    }

    /// The number of the last change of the own set: what a snapshot stands for.
    pub(crate) fn announced(&self) -> u64 {
        self.announced
    }

    /// A peer receives from us from now on (a snapshot goes there first), or no more.
    pub(crate) fn listening(&mut self, peer: &str, listening: bool) {
        let peer = self.peers.entry(peer.to_owned()).or_default();
        peer.listening = listening;
        peer.acknowledged = 0;
    }

    /// The other server's whole set begins anew.
    pub(crate) fn reset(&mut self, peer: &str) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.accounts.clear();
        }
    }

    /// The other server's set changed.
    pub(crate) fn apply(&mut self, peer: &str, came: &[AccountId], went: &[AccountId]) {
        let peer = self.peers.entry(peer.to_owned()).or_default();
        peer.accounts.extend(came);
        for account in went {
            peer.accounts.remove(account);
        }
    }

    /// A peer has our changes through this number.
    pub(crate) fn acknowledged(&mut self, peer: &str, through: u64) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.acknowledged = peer.acknowledged.max(through);
        }
    }

    /// True where every peer that receives from us has our changes through this number.
    pub(crate) fn is_known(&self, through: u64) -> bool {
        self.peers.values().all(|peer| !peer.listening || peer.acknowledged >= through)
    }

    /// True where no account is online on any other server.
    pub(crate) fn is_empty(&self) -> bool {
        self.peers.values().all(|peer| peer.accounts.is_empty())
    }

    /// The servers on which at least one of these accounts is online.
    pub(crate) fn servers_of(&self, accounts: &(impl Iterator<Item = AccountId> + Clone)) -> Vec<String> {
        let online = |peer: &Peer| !peer.accounts.is_empty() && accounts.clone().any(|account| peer.accounts.contains(&account));
        self.peers
            .iter()
            .filter(|(_, peer)| online(peer))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(n: u8) -> AccountId {
        AccountId([n; 16])
    }

    #[test]
    fn a_change_is_known_once_every_listening_peer_has_it() {
        let mut presence = Presence::default();
        assert!(presence.is_known(presence.announced()), "nobody listens");
        presence.listening("s2", true);
        presence.listening("s3", true);
        let change = presence.announce();
        presence.acknowledged("s2", change);
        assert!(!presence.is_known(change));
        presence.listening("s3", false);
        assert!(presence.is_known(change), "a dead link is not waited for");
        presence.listening("s3", true);
        assert!(!presence.is_known(change), "a new link has nothing yet");
        presence.acknowledged("s3", change + 1);
        assert!(presence.is_known(change));
    }

    #[test]
    fn an_account_may_be_online_on_several_servers() {
        let mut presence = Presence::default();
        presence.apply("s2", &[account(1), account(2)], &[]);
        presence.apply("s3", &[account(1)], &[]);
        let mut servers = presence.servers_of(&[account(1)].into_iter());
        servers.sort();
        assert_eq!(servers, ["s2", "s3"]);
        presence.apply("s2", &[], &[account(1)]);
        assert_eq!(presence.servers_of(&[account(1)].into_iter()), ["s3"]);
        presence.reset("s3");
        assert!(presence.servers_of(&[account(1)].into_iter()).is_empty());
        assert_eq!(presence.servers_of(&[account(9), account(2)].into_iter()), ["s2"]);
    }
}
