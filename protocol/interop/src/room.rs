//! One conversation as a device follows it: which entries it has taken, and the head of its log. Pure.

use crate::mls::Failure;
use fastchat_client::Entry;
use fastchat_e2e::{ConversationId, EntryId, LogHead, log::Block, mls::MemberDevice};
use std::collections::BTreeMap;

/// Whose word a joiner takes for its first head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Believes {
    /// The device that added it.
    Adder(MemberDevice),
    /// Any other one's: it came in by itself.
    Anybody,
}

/// Where a device stands in one conversation.
#[derive(Debug, Clone)]
pub struct Room {
    conversation: ConversationId,
    /// The last entry that was taken.
    pub seq: u64,
    /// The server's epoch: commits in the log.
    pub epoch: u64,
    head: Option<LogHead>,
    heads: BTreeMap<u64, [u8; 32]>,
    believes: Believes,
    /// The commit that this device is in by.
    joined_at: u64,
    /// What was taken since, until there is a head to chain it to.
    unchained: BTreeMap<u64, (EntryId, String, [u8; 32])>,
}

impl Room {
    /// Before the first entry of an own conversation.
    #[must_use]
    pub fn founded(conversation: ConversationId) -> Self {
        let start = LogHead::start(conversation);
        Self {
            head: Some(start),
            heads: [(0, start.hash)].into(),
            ..Self::joined(conversation, 0, 0, Believes::Anybody)
        }
    }

    /// Right behind the commit that this device is in by; `epoch` is the server's after it.
    #[must_use]
    pub fn joined(conversation: ConversationId, commit: u64, epoch: u64, believes: Believes) -> Self {
        Self {
            conversation,
            seq: commit,
            epoch,
            head: None,
            heads: BTreeMap::new(),
            believes,
            joined_at: commit,
            unchained: BTreeMap::new(),
        }
    }

    /// What an own message says of the log: nothing before there is a head.
    #[must_use]
    pub fn authenticated(&self) -> Vec<u8> {
        self.head.map(|head| head.to_authenticated_data()).unwrap_or_default()
    }

    /// Whether own messages say how the log stands.
    #[must_use]
    pub fn has_head(&self) -> bool {
        self.head.is_some()
    }

    /// Compares what the sender of the next entry says of the log; a joiner may take it over.
    ///
    /// # Errors
    /// The sender was shown another log.
    pub fn compare(&mut self, sender: MemberDevice, authenticated: &[u8]) -> Result<(), Failure> {
        if authenticated.is_empty() {
            return Ok(());
        }
        let claim = LogHead::from_authenticated_data(authenticated)?;
        if claim.seq > self.seq {
            return Err(format!("{sender:?} names number {} of a log that ends at {}", claim.seq, self.seq).into());
        }
        match self.heads.get(&claim.seq) {
            Some(hash) if *hash != claim.hash => Err(format!("another head at number {} by {sender:?}", claim.seq).into()),
            None if self.head.is_none() && self.believed(sender) && claim.seq >= self.joined_at => self.adopt(claim),
            _ => Ok(()),
        }
    }

    fn believed(&self, sender: MemberDevice) -> bool {
        match self.believes {
            Believes::Adder(adder) => adder == sender,
            Believes::Anybody => true,
        }
    }

    fn adopt(&mut self, claim: LogHead) -> Result<(), Failure> {
        let mut head = claim;
        self.heads.insert(head.seq, head.hash);
        for (seq, (entry, kind, hash)) in std::mem::take(&mut self.unchained) {
            if seq > claim.seq {
                head = head.next_hashed(entry, &kind, &hash)?;
                self.heads.insert(head.seq, head.hash);
            }
        }
        self.head = Some(head);
        Ok(())
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// It is not the next one.
    pub fn advance(&mut self, entry: &Entry) -> Result<(), Failure> {
        if entry.seq() != self.seq + 1 || entry.log().0 != self.conversation.0 {
            return Err(format!("entry {} of {} is not behind {}", entry.seq(), entry.log(), self.seq).into());
        }
        let withheld = entry.head.block_sha256.as_ref().map(|hash| <[u8; 32]>::try_from(&hash.0[..]));
        let hash = withheld.transpose()?.unwrap_or_else(|| Block::Bytes(&entry.block).sha256());
        let (id, kind) = (EntryId(entry.head.entry.0), entry.head.kind.as_str());
        self.seq = entry.seq();
        match self.head {
            Some(head) => {
                let next = head.next_hashed(id, kind, &hash)?;
                self.heads.insert(next.seq, next.hash);
                self.head = Some(next);
            }
            None => _ = self.unchained.insert(self.seq, (id, kind.to_owned(), hash)),
        }
        Ok(())
    }
}
