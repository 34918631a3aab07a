//! `hello`: opens the conversation with a server (PROTOCOL.md §4).

use crate::{Connection, Failure};
use fastchat_wire::{
    Block, Code, Secret,
    chat::{
        VERSION,
        hello::{Hello, Welcome},
    },
};

/// Says hello, and a second time without the ticket where the ticket is refused.
/// From then on the connection keeps to the limits that the server announced.
///
/// # Errors
/// `overloaded`, `draining`, `bad-request` (another version).
pub async fn hello(connection: &Connection, agent: &str, ticket: Option<Secret>) -> Result<Welcome, Failure> {
    let had_ticket = ticket.is_some();
    let welcome = match say(connection, agent, ticket).await {
        Err(failure) if had_ticket && failure.code() == Some(Code::BadTicket) => say(connection, agent, None).await,
        said => said,
    }?;
    if welcome.version != VERSION {
        return Err(Failure::Misbehaved(format!(
            "it speaks version {}, this client {VERSION}",
            welcome.version
        )));
    }
    connection.announced(&welcome);
    Ok(welcome)
}

async fn say(connection: &Connection, agent: &str, ticket: Option<Secret>) -> Result<Welcome, Failure> {
    let hello = Hello {
        version: VERSION,
        agent: agent.to_owned(),
        ticket,
    };
    Ok(connection.request(&hello, &Block::none()).await?.header)
}
