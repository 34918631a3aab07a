//! Reads a whole log, at the end.

use super::evidence::{Entry, Message};
use crate::{
    book::Account,
    enter::Entrance,
    line::{Arrived, Line, Lost},
    stamp::Stamp,
    trouble::Trouble,
};
use fastchat_wire::{
    Block, LogId,
    chat::fetch::{Fetch, Fetched},
    limits::PAGE_MAX,
};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A fleet that was shot at may take so many attempts …
const ATTEMPTS: u32 = 20;
/// … with so much time between them.
const PAUSE: Duration = Duration::from_millis(500);
/// A page comes within this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a block says, if it is one of ours and whole.
pub(crate) fn message_of(block: &[u8], run: u32) -> Option<(Message, Stamp)> {
    let stamp = Stamp::read(block).filter(|stamp| stamp.run == run && stamp.is_intact(block))?;
    let message = Message {
        sender: stamp.sender,
        number: stamp.number,
    };
    Some((message, stamp))
}

/// Reads a log from its first entry to its last, as a member.
///
/// # Errors
/// The fleet does not come back.
pub(crate) async fn read(entrance: &Entrance, seat: usize, account: &mut Account, log: LogId, run: u32) -> Result<Vec<Entry>, Trouble> {
    let mut attempt = 0;
    loop {
        match read_once(entrance, seat, account, log, run).await {
            Err(_) if attempt < ATTEMPTS => {
                attempt += 1;
                sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

async fn read_once(entrance: &Entrance, seat: usize, account: &mut Account, log: LogId, run: u32) -> Result<Vec<Entry>, Trouble> {
    let mut line = entrance.sign_in(seat, account, None).await?;
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map_or(0, |entry| entry.seq);
        let page = page(entrance, &mut line, log, after, run, &mut entries);
        let fetched = timeout(PATIENCE, page).await;
        let fetched = fetched.map_err(|_| Trouble::CannotConnect("no answer to fetch".to_owned()))??;
        if !fetched.more {
            return Ok(entries);
        }
    }
}

async fn page(
    entrance: &Entrance,
    line: &mut Line,
    log: LogId,
    after: u64,
    run: u32,
    entries: &mut Vec<Entry>,
) -> Result<Fetched, Trouble> {
    let fetch = Fetch {
        log,
        after,
        limit: Some(PAGE_MAX),
    };
    let queued = line.queue(&fetch, &Block::none());
    let id = queued.map_err(|error| Trouble::Failed(error.to_string()))?;
    let mut answer = None;
    while answer.is_none() {
        let take = |arrived: &Arrived<'_>| match (arrived.glance.re == Some(id), arrived.glance.event, arrived.glance.seq) {
            (true, Some(b"entry"), Some(seq)) => {
                let message = message_of(arrived.block, run).map(|(message, _)| message);
                entries.push(Entry { seq, message });
            }
            (true, None, _) => answer = Some(end_of_page(arrived)),
            _ => {}
        };
        line.turn(&entrance.pool, take).await?;
    }
    answer.unwrap_or_else(|| Err(Lost::Closed.into()))
}

fn end_of_page(arrived: &Arrived<'_>) -> Result<Fetched, Trouble> {
    if let Some(error) = arrived.failure() {
        return Err(Trouble::Refused(error));
    }
    let fetched = serde_json::from_slice(arrived.header);
    fetched.map_err(|error| Trouble::Failed(format!("the answer to fetch can't be read: {error}")))
}
