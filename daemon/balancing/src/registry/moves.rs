//! Moves: clients that were asked to go to another server, which count once.

use super::{Registry, ServerIndex};
use fastchat_wire::MoveId;

/// Moves that are remembered at a time; beyond, the oldest is forgotten.
const MOVES_MAX: usize = 100_000;
/// A move is remembered for so long, and its client is not sent back to the server that it leaves.
pub(super) const MOVE_MS_MAX: u64 = 600_000;
/// A client that has arrived elsewhere counts at its source no more; so long, or until the source reports its end.
pub(super) const LEAVE_MS_MAX: u64 = 2_000;

#[derive(Debug)]
pub(super) struct Move {
    pub(super) source: ServerIndex,
    /// Placed: the ticket that its client has.
    pub(super) ticket: Option<u64>,
}

impl Registry {
    pub(super) fn announce(&mut self, now: u64, id: MoveId, source: ServerIndex) {
        if self.moves.get(id).is_some() {
            return;
        }
        if self.moves.len() >= MOVES_MAX
            && let Some((_, oldest)) = self.moves.pop_first()
        {
            self.forget(&oldest);
        }
        self.moves.insert(id, Move { source, ticket: None }, now + MOVE_MS_MAX);
        self.on_server(source, |source| source.moves += 1);
    }

    /// A placed move whose ticket is over counts at its source again.
    pub(super) fn announce_again(&mut self, moving: Option<MoveId>, number: u64) {
        if let Some(known) = moving
            .and_then(|id| self.moves.get_mut(id))
            .filter(|known| known.ticket == Some(number))
        {
            known.ticket = None;
            let source = known.source;
            self.on_server(source, |source| source.placed -= 1);
        }
    }

    /// What a move that was taken out of the map means for its source.
    pub(super) fn forget(&mut self, known: &Move) {
        self.on_server(known.source, |source| {
            source.moves -= 1;
            source.placed -= u64::from(known.ticket.is_some());
        });
        self.sweep_at = 0;
    }
}
