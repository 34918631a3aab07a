//! Who is online where. Pure: messages in, replies out.
//!
//! ```text
//!  we, of our own set                        we, of a peer's set
//!   Deaf ── link up: snapshot ──> told        silent ── link up ──> waiting
//!    ^                             │ ack       ^                      │ all pieces
//!    │                             ▼           │                      ▼
//!    └────── link down ───────── knows         └── link down ──── whole: changes, one by one
//! ```
//!
//! Each server owns the set of accounts that are signed in on it and tells the
//! others its changes, numbered one by one; they acknowledge what they know
//! without a gap, ask for a snapshot where there is one, and drop the whole set
//! when the link dies. A change that overtakes the snapshot before it is kept
//! until that is whole. A session's first answer that must not miss pushes waits
//! until the live peers have acknowledged it.
//!
//! While a peer does not know the own set, it does not ring for entries that
//! somebody here reads. Whoever calls [`Presence::acknowledged`] is told when
//! that is over, and looks for what was missed.

use crate::bus::message::{Known, Piece};
use fastchat_wire::AccountId;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Changes that wait for the snapshot before them; of more, the oldest are forgotten.
const LATER_MAX: usize = 4_096;

/// Who is online on the other servers, and what they know of this one.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    peers: HashMap<String, Peer>,
    /// Changes of the own set so far.
    announced: u64,
    /// Snapshots of the own set so far.
    snapshots: u64,
}

#[derive(Debug, Default)]
struct Peer {
    /// Accounts that are online there.
    accounts: HashSet<AccountId>,
    /// What we know of its set.
    theirs: Theirs,
    /// What it knows of our set.
    ours: Ours,
}

#[derive(Debug, Default)]
enum Theirs {
    /// No link from it.
    #[default]
    Silent,
    /// Its snapshot is to come, or is coming.
    Waiting {
        snapshot: u64,
        pieces: u32,
        accounts: HashSet<AccountId>,
        later: BTreeMap<u64, Change>,
    },
    /// Its set is known through that change.
    Whole(Known),
}

/// Who came, and who went.
#[derive(Debug)]
struct Change {
    came: Vec<AccountId>,
    went: Vec<AccountId>,
}

#[derive(Debug, Default)]
enum Ours {
    /// No link to it.
    #[default]
    Deaf,
    /// That snapshot is on its way, or something after it that was waited for in vain.
    Told {
        link: u64,
        snapshot: u64,
        knows_at: u64,
        late: bool,
    },
    /// It knows our set through that change.
    Knows { link: u64, snapshot: u64, through: u64 },
}

/// What to answer a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Acknowledge.
    Known(Known),
    /// Something is missing: ask for a snapshot.
    Resync,
    /// Nothing.
    Nothing,
}

impl Presence {
    /// The own set changed: the number of the change, to be told to all peers.
    pub(crate) fn announce(&mut self) -> u64 {
        self.announced += 1;
        self.announced
    }

    fn peer(&mut self, peer: &str) -> &mut Peer {
        self.peers.entry(peer.to_owned()).or_default()
    }

    /// A peer receives from us on that link from now on: what the snapshot that
    /// goes there first stands for.
    pub(crate) fn listening(&mut self, peer: &str, link: u64) -> Known {
        self.snapshots += 1;
        let known = Known {
            snapshot: self.snapshots,
            seq: self.announced,
        };
        self.peer(peer).ours = Ours::Told {
            link,
            snapshot: known.snapshot,
            knows_at: known.seq,
            late: false,
        };
        known
    }

    /// A peer asks for a snapshot: what it stands for. `None` without a link to it.
    pub(crate) fn asked(&mut self, peer: &str) -> Option<Known> {
        match self.peers.get(peer)?.ours {
            Ours::Deaf => None,
            Ours::Told { link, .. } | Ours::Knows { link, .. } => Some(self.listening(peer, link)),
        }
    }

    /// That link to a peer has ended.
    pub(crate) fn deaf(&mut self, peer: &str, ended: u64) {
        if let Some(known) = self.peers.get_mut(peer)
            && matches!(known.ours, Ours::Told { link, .. } | Ours::Knows { link, .. } if link == ended)
        {
            known.ours = Ours::Deaf;
        }
        self.forget(peer);
    }

    /// We receive from a peer from now on; a snapshot comes first.
    pub(crate) fn hears(&mut self, peer: &str) {
        let peer = self.peer(peer);
        peer.accounts.clear();
        peer.theirs = Theirs::waiting();
    }

    /// We receive from a peer no more.
    pub(crate) fn silent(&mut self, peer: &str) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.accounts.clear();
            known.theirs = Theirs::Silent;
        }
        self.forget(peer);
    }

    /// Without any link there is nothing to remember of a peer.
    fn forget(&mut self, peer: &str) {
        let gone = |peer: &Peer| matches!((&peer.theirs, &peer.ours), (Theirs::Silent, Ours::Deaf));
        if self.peers.get(peer).is_some_and(gone) {
            self.peers.remove(peer);
        }
    }

    /// A peer's message was lost; what is known of its set holds until the snapshot is whole.
    pub(crate) fn gap(&mut self, peer: &str) {
        if let Some(Peer { theirs, .. }) = self.peers.get_mut(peer)
            && !matches!(theirs, Theirs::Silent)
        {
            *theirs = Theirs::waiting();
        }
    }

    /// A piece of a peer's whole set came. It takes the place of the former set at once.
    pub(crate) fn snapshot(&mut self, peer: &str, known: Known, piece: Piece, came: &[AccountId]) -> Reply {
        let peer = self.peer(peer);
        if piece.number == 0 {
            let later = match &mut peer.theirs {
                Theirs::Waiting { later, .. } => std::mem::take(later),
                Theirs::Silent | Theirs::Whole(_) => BTreeMap::new(),
            };
            peer.theirs = Theirs::Waiting {
                snapshot: known.snapshot,
                pieces: 0,
                accounts: HashSet::with_capacity(came.len()),
                later,
            };
        }
        match &mut peer.theirs {
            Theirs::Waiting {
                snapshot,
                pieces,
                accounts,
                later,
            } if *snapshot == known.snapshot && *pieces == piece.number => {
                *pieces += 1;
                accounts.extend(came);
                if *pieces < piece.of {
                    return Reply::Nothing;
                }
                peer.accounts = std::mem::take(accounts);
                let later = std::mem::take(later);
                peer.whole(known, later)
            }
            // A piece before it was lost: the link's heartbeat says so.
            _ => Reply::Nothing,
        }
    }

    /// A peer's set changed.
    pub(crate) fn delta(&mut self, peer: &str, seq: u64, came: &[AccountId], went: &[AccountId]) -> Reply {
        let Some(peer) = self.peers.get_mut(peer) else {
            return Reply::Nothing;
        };
        match &mut peer.theirs {
            Theirs::Silent => Reply::Nothing,
            // The snapshot that is to come has it, or comes before it.
            Theirs::Waiting { later, .. } => {
                let (came, went) = (came.to_vec(), went.to_vec());
                later.insert(seq, Change { came, went });
                if later.len() > LATER_MAX {
                    later.pop_first();
                }
                Reply::Nothing
            }
            Theirs::Whole(known) if seq <= known.seq => Reply::Nothing,
            Theirs::Whole(known) if seq > known.seq + 1 => {
                peer.theirs = Theirs::waiting();
                Reply::Resync
            }
            Theirs::Whole(known) => {
                known.seq = seq;
                let known = *known;
                peer.apply(came, went);
                Reply::Known(known)
            }
        }
    }

    /// What is known of a peer's set, to be acknowledged once there is a link to it.
    pub(crate) fn known(&self, peer: &str) -> Option<Known> {
        match self.peers.get(peer)?.theirs {
            Theirs::Whole(known) => Some(known),
            Theirs::Silent | Theirs::Waiting { .. } => None,
        }
    }

    /// Peers that are heard, but whose set isn't whole.
    pub(crate) fn unknown(&self) -> Vec<String> {
        let waiting = |peer: &Peer| matches!(peer.theirs, Theirs::Waiting { .. });
        self.peers
            .iter()
            .filter(|(_, peer)| waiting(peer))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// A peer acknowledges. True where it knows our set from now on: what it
    /// did not ring for before is to be looked for.
    pub(crate) fn acknowledged(&mut self, peer: &str, known: Known) -> bool {
        let Some(peer) = self.peers.get_mut(peer) else { return false };
        match &mut peer.ours {
            Ours::Told {
                link, snapshot, knows_at, ..
            } if *snapshot == known.snapshot && *knows_at <= known.seq => {
                peer.ours = Ours::Knows {
                    link: *link,
                    snapshot: *snapshot,
                    through: known.seq,
                };
                true
            }
            Ours::Knows { snapshot, through, .. } if *snapshot == known.snapshot => {
                *through = (*through).max(known.seq);
                false
            }
            _ => false,
        }
    }

    /// Nobody waits for peers any longer that don't have our changes through
    /// this number, until they have. Answers their names.
    pub(crate) fn give_up(&mut self, seq: u64) -> Vec<String> {
        let mut late_ones = Vec::new();
        for (name, peer) in &mut self.peers {
            match &mut peer.ours {
                Ours::Told { knows_at, late, .. } if !*late => {
                    *knows_at = (*knows_at).max(seq);
                    *late = true;
                }
                Ours::Knows { link, snapshot, through } if *through < seq => {
                    peer.ours = Ours::Told {
                        link: *link,
                        snapshot: *snapshot,
                        knows_at: seq,
                        late: true,
                    };
                }
                _ => continue,
            }
            late_ones.push(name.clone());
        }
        late_ones
    }

    /// True where every peer that receives from us in time has our changes through this number.
    pub(crate) fn is_known(&self, seq: u64) -> bool {
        self.peers.values().all(|peer| match peer.ours {
            Ours::Deaf => true,
            Ours::Told { late, .. } => late,
            Ours::Knows { through, .. } => through >= seq,
        })
    }

    /// True where every peer knows our set.
    pub(crate) fn is_told(&self) -> bool {
        self.peers.values().all(|peer| matches!(peer.ours, Ours::Knows { .. }))
    }

    /// True where no account is online on any other server.
    pub(crate) fn is_empty(&self) -> bool {
        self.peers.values().all(|peer| peer.accounts.is_empty())
    }

    /// True where the account is online on another server.
    pub(crate) fn is_online(&self, account: AccountId) -> bool {
        self.peers.values().any(|peer| peer.accounts.contains(&account))
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

impl Peer {
    /// The snapshot is whole: the changes that overtook it follow.
    fn whole(&mut self, mut known: Known, later: BTreeMap<u64, Change>) -> Reply {
        for (seq, Change { came, went }) in later {
            if seq <= known.seq {
                continue;
            }
            if seq > known.seq + 1 {
                self.theirs = Theirs::waiting();
                return Reply::Resync;
            }
            known.seq = seq;
            self.apply(&came, &went);
        }
        self.theirs = Theirs::Whole(known);
        Reply::Known(known)
    }

    fn apply(&mut self, came: &[AccountId], went: &[AccountId]) {
        self.accounts.extend(came);
        for account in went {
            self.accounts.remove(account);
        }
    }
}

impl Theirs {
    fn waiting() -> Self {
        Self::Waiting {
            snapshot: 0,
            pieces: 0,
            accounts: HashSet::new(),
            later: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests;
