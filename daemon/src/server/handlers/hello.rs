//! `hello`: opens the conversation, and redeems a ticket.

use super::{Answer, Call, Handled, Refusal};
use crate::server::{Server, context::now_ms};
use fastchat_wire::{
    Block, Code,
    chat::{
        VERSION,
        hello::{Hello, Welcome},
    },
    limits::{BLOCK_BYTES_MAX, HEADER_BYTES_MAX, LABEL_BYTES_MAX},
};

/// Counts the connection and answers the limits.
pub(crate) fn handle(server: &Server, call: &Call) -> Handled {
    let hello: Hello = call.arguments()?;
    if hello.version != VERSION {
        return Err(Refusal::bad_request(format!("this server speaks version {VERSION} only")));
    }
    if hello.agent.len() > LABEL_BYTES_MAX {
        return Err(Refusal::bad_request(format!("agent has more than {LABEL_BYTES_MAX} bytes")));
    }
    let most = server.connections_max();
    if most > 0 && server.load.connections() >= most {
        return Err(Refusal::new(Code::Overloaded, "this server is full: ask the balancer for another"));
    }
    let answer: Answer = call.answer(
        &Welcome {
            server: server.context.name.clone(),
            version: VERSION,
            store: server.context.store_id.clone(),
            max_header: HEADER_BYTES_MAX,
            max_block: BLOCK_BYTES_MAX,
            ping_interval_ms: u64::try_from(server.limits.ping_interval.as_millis()).unwrap_or(u64::MAX),
            features: Vec::new(),
        },
        &Block::none(),
    )?;
    server
        .load
        .opened(&server.context.fleet_key, &server.context.name, hello.ticket.as_ref(), now_ms())
        .map_err(|_| {
            Refusal::new(
                Code::BadTicket,
                "the ticket is forged, foreign, expired or used: say hello without it",
            )
        })?;
    Ok(answer)
}
