//! A bot: signs in, is in every conversation that somebody adds it to, answers
//! each message with its own bytes, and survives servers, moves and networks.
//!
//! `FASTCHAT_BALANCER=127.0.0.1:7101 FASTCHAT_TOKEN=… cargo run --example echo_bot`
//!
//! The token is the one of a `register`, `login` or `resume` answer. Blocks are
//! sent and taken as they are: what stands in them is up to those who talk to
//! the bot. A bot that must not answer twice after its own restart gives the
//! session a journal and an outbox of its own, on disk.

use fastchat_client::{Config, MemoryJournal, MemoryOutbox, Session, SessionEvent};
use fastchat_wire::Secret;
use std::{env, sync::Arc};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::new(&env::var("FASTCHAT_BALANCER")?)?;
    let journal = Arc::new(MemoryJournal::with_token(Secret::new(env::var("FASTCHAT_TOKEN")?)));
    let mut session = Session::start(config, journal, Arc::new(MemoryOutbox::default()));
    let mut me = None;
    loop {
        match session.next().await? {
            SessionEvent::Live { account, .. } => me = Some(account),
            SessionEvent::Entry { entry, store } => {
                if entry.head.kind == "app" && entry.head.from != me {
                    session.send(entry.log(), "app", entry.block.clone()).await?;
                }
                session.processed(&entry, &store).await?;
            }
            _ => {}
        }
    }
}
