//! A group's state as mls-rs writes it, taken apart: what an epoch leaves as it is, and the ratchets that messages turn.
//!
//! ```text
//!   snapshot = … ‖ length ‖ (u32 node ‖ secret or ratchets) … ‖ rest          nodes ascending
//!                           └── a row each: a message turns one ──┘
//! ```
//!
//! Whoever speaks in an epoch adds a node, and the charter stands in the state, too: written as a whole it would grow
//! with speakers, admins and gone devices, for each message anew. Apart, a message writes the node that it turned.

use mls_rs::mls_rs_codec::{MlsDecode, MlsEncode, VarInt};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Begins a row from which nodes were taken; mls-rs' own snapshots begin with 0.
const APART: u8 = 0xff;
/// Bytes before what it marks: itself, and where the nodes were.
const MARK_BYTES: usize = 5;

/// A state in parts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    /// Everything else: one row. A snapshot that is not understood is that as a whole.
    pub(crate) rest: Zeroizing<Vec<u8>>,
    /// Secrets and ratchets by the node of the tree that they belong to.
    pub(crate) nodes: BTreeMap<u32, &'a [u8]>,
}

impl<'a> Parts<'a> {
    /// Takes a snapshot apart.
    pub(crate) fn of(snapshot: &'a [u8]) -> Self {
        apart(snapshot).unwrap_or_else(|| Self {
            rest: Zeroizing::new(snapshot.to_vec()),
            nodes: BTreeMap::new(),
        })
    }
}

/// Puts a row and its nodes together again; none where the row does not say where.
pub(crate) fn together(rest: &[u8], nodes: &BTreeMap<u32, impl AsRef<[u8]>>) -> Option<Zeroizing<Vec<u8>>> {
    let Some(marked) = rest.strip_prefix(&[APART]) else {
        return Some(Zeroizing::new(rest.to_vec()));
    };
    let (at, rest) = marked.split_first_chunk()?;
    let (before, after) = rest.split_at_checked(u32::from_be_bytes(*at).try_into().ok()?)?;
    let bytes: usize = nodes.values().map(|node| 4 + node.as_ref().len()).sum();
    let length = VarInt::try_from(bytes).ok()?.mls_encode_to_vec().ok()?;
    // Never grown: no copy of the secrets stays behind.
    let mut snapshot = Zeroizing::new(Vec::with_capacity(rest.len() + length.len() + bytes));
    snapshot.extend_from_slice(before);
    snapshot.extend_from_slice(&length);
    for (node, secrets) in nodes {
        snapshot.extend_from_slice(&node.to_be_bytes());
        snapshot.extend_from_slice(secrets.as_ref());
    }
    snapshot.extend_from_slice(after);
    Some(snapshot)
}

/// Whether a row has nodes beside it.
pub(crate) fn is_apart(rest: &[u8]) -> bool {
    rest.first() == Some(&APART)
}

fn apart(snapshot: &[u8]) -> Option<Parts<'_>> {
    let mut left = snapshot;
    fixed(&mut left, 2)?; // version
    fixed(&mut left, 4)?; // protocol version, suite
    variable(&mut left)?; // group id
    fixed(&mut left, 8)?; // epoch
    variable(&mut left)?; // tree hash
    variable(&mut left)?; // confirmed transcript hash
    variable(&mut left)?; // extensions
    variable(&mut left)?; // nodes of the public tree, which is kept elsewhere
    variable(&mut left)?; // its hashes
    variable(&mut left)?; // interim transcript hash
    if fixed(&mut left, 1)? != [0] {
        return None; // a re-initialisation, which the rules refuse
    }
    variable(&mut left)?; // confirmation tag
    fixed(&mut left, 4)?; // own leaf
    variable(&mut left)?; // private keys of the tree
    variable(&mut left)?; // sender data secret
    let at = snapshot.len() - left.len();
    let mut held = variable(&mut left)?;
    let mut nodes = BTreeMap::new();
    while !held.is_empty() {
        let node = u32::from_be_bytes(fixed(&mut held, 4)?.try_into().ok()?);
        let secrets = held;
        match fixed(&mut held, 1)? {
            [0] => _ = variable(&mut held)?,
            // Two ratchets, each with the number of its next key.
            [1] => {
                for _ in 0..2 {
                    variable(&mut held)?;
                    fixed(&mut held, 4)?;
                }
            }
            _ => return None,
        }
        nodes.insert(node, &secrets[..secrets.len() - held.len()]);
    }
    let mark = u32::try_from(at).ok()?.to_be_bytes();
    let mut rest = Zeroizing::new(Vec::with_capacity(MARK_BYTES + at + left.len()));
    rest.push(APART);
    rest.extend_from_slice(&mark);
    rest.extend_from_slice(&snapshot[..at]);
    rest.extend_from_slice(left);
    // Whatever a later mls-rs may write otherwise: what does not come together again is not taken apart.
    let whole = together(&rest, &nodes)?;
    (whole[..] == *snapshot).then_some(Parts { rest, nodes })
}

fn fixed<'a>(left: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, rest) = left.split_at_checked(count)?;
    *left = rest;
    Some(head)
}

fn variable<'a>(left: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from(VarInt::mls_decode(left).ok()?);
    fixed(left, length.try_into().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What mls-rs would write for three nodes, two of which have spoken.
    fn snapshot() -> Vec<u8> {
        let ratchet = |byte: u8| [&[1, 2, byte, byte][..], &[0, 0, 0, byte], &[2, byte, byte], &[0, 0, 0, 0]].concat();
        let nodes = [
            &[0, 0, 0, 1][..],
            &[0, 3, 7, 7, 7],
            &[0, 0, 0, 4],
            &ratchet(8),
            &[0, 0, 1, 0],
            &ratchet(9),
        ]
        .concat();
        let length = u8::try_from(nodes.len()).unwrap();
        [
            &[0, 1, 0, 1, 0, 1, 2, 5, 5][..],
            &[0; 8],
            &[1, 1, 1, 2, 1, 3, 0, 0, 1, 4, 0, 1, 5],
            &[0, 0, 0, 2, 1, 6, 1, 7, length],
            &nodes,
            &[0, 0, 0, 9, 42],
        ]
        .concat()
    }

    #[test]
    fn a_state_comes_together_as_it_was() {
        let snapshot = snapshot();
        let parts = Parts::of(&snapshot);
        assert!(is_apart(&parts.rest));
        assert_eq!(parts.nodes.keys().copied().collect::<Vec<_>>(), [1, 4, 256]);
        assert_eq!(*together(&parts.rest, &parts.nodes).unwrap(), snapshot);
    }

    #[test]
    fn what_is_not_understood_stays_whole() {
        let snapshot = snapshot();
        for length in 0..snapshot.len() - 5 {
            let part = &snapshot[..length];
            let parts = Parts::of(part);
            assert!(!is_apart(&parts.rest) && parts.nodes.is_empty(), "{length}");
            assert_eq!(*together(&parts.rest, &parts.nodes).unwrap(), part);
        }
    }

    #[test]
    fn a_row_that_is_cut_off_is_none() {
        let snapshot = snapshot();
        let parts = Parts::of(&snapshot);
        for length in 1..MARK_BYTES {
            assert_eq!(together(&parts.rest[..length], &parts.nodes), None);
        }
    }
}
