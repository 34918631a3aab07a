//! `assign`: what a client's frame is answered (PROTOCOL.md §3).
//!
//! A balancer has this one verb, and no `hello` before it.

use super::{
    admission::Visit,
    dispatcher::Dispatcher,
    failure,
    metrics::Metrics,
    pipe::{Piped, Pipes},
};
use crate::limits::{Limit, Limited};
use bytes::Bytes;
use fastchat_wire::{
    Code, EncodeError, ErrorBody, Frame, FrameError, Kind, Op,
    chat::assign::{Assign, Assigned},
    encode_response,
    frame::Block,
    limits::HINT_BYTES_MAX,
};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// What a frame is answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// Nothing: events and responses have no answer.
    None,
    /// The connection goes on.
    Reply(Bytes),
    /// The stream means nothing any more.
    Refusal(Bytes),
    /// The connection is the server's from then on.
    Pipe(Piped),
}

/// Answers one frame.
///
/// # Errors
/// The answer doesn't fit into a header: a fault of ours.
pub(super) fn answer(
    dispatcher: &Dispatcher,
    metrics: &Metrics,
    pipes: &Pipes,
    visit: &Visit,
    frame: &Frame,
) -> Result<Answer, EncodeError> {
    let Kind::Request { op, id } = frame.head.kind else {
        return Ok(Answer::None);
    };
    let timer = metrics.assign_latency.start_timer();
    let outcome = match op {
        Some(Op::Assign) => frame
            .parse()
            .and_then(|request| assign(dispatcher, metrics, pipes, visit, &request)),
        Some(Op::Hello) => Err(ErrorBody::new(
            Code::BadRequest,
            "this is a balancer: send assign, then hello to the server that it names",
        )),
        _ => Err(ErrorBody::new(Code::UnknownOp, "a balancer knows assign only")),
    };
    if op == Some(Op::Assign) {
        timer.observe_duration();
    } else {
        timer.stop_and_discard();
    }
    match outcome {
        Ok((assigned, None)) => encode_response(id, &assigned, &Block::none()).map(Answer::Reply),
        Ok((mut assigned, Some(place))) => {
            let address = assigned.address.take().unwrap_or_default();
            Ok(Answer::Pipe(Piped {
                answer: encode_response(id, &assigned, &Block::none())?,
                address,
                wait: Duration::from_millis(assigned.wait_ms),
                place,
            }))
        }
        Err(error) => {
            let closes = match error.code {
                Code::BadFrame | Code::TooLarge => true,
                Code::RateLimited => visit.is_abused(metrics),
                _ => false,
            };
            let bytes = failure(metrics, Some(id), error)?;
            Ok(if closes { Answer::Refusal(bytes) } else { Answer::Reply(bytes) })
        }
    }
}

/// Answers a fault of framing.
///
/// # Errors
/// The answer doesn't fit into a header: a fault of ours.
pub(super) fn refusal(metrics: &Metrics, error: FrameError) -> Result<Bytes, EncodeError> {
    failure(metrics, error.re, ErrorBody::new(error.code, error.message))
}

/// What a client is told for whom there is no place.
///
/// # Errors
/// The answer doesn't fit into a header: a fault of ours.
pub(super) fn no_place(metrics: &Metrics) -> Result<Bytes, EncodeError> {
    let error = Limited::place(Limit::BalancerConnections).error(&metrics.limited);
    failure(metrics, None, error)
}

/// A server, and the place of a client that is piped to it.
fn assign(
    dispatcher: &Dispatcher,
    metrics: &Metrics,
    pipes: &Pipes,
    visit: &Visit,
    request: &Assign,
) -> Result<(Assigned, Option<OwnedSemaphorePermit>), ErrorBody> {
    let holder = visit.assign(request.resume, metrics)?;
    if let Some(hint) = request.hint.as_ref().filter(|hint| hint.len() > HINT_BYTES_MAX) {
        return Err(ErrorBody::new(
            Code::BadRequest,
            format!("a hint of {} bytes: the limit is {HINT_BYTES_MAX}", hint.len()),
        ));
    }
    let full = |_| Limited::place(Limit::BalancerPipes).error(&metrics.limited);
    let place = request.proxy.then(|| pipes.take().map_err(full)).transpose()?;
    Ok((dispatcher.assign(request, holder)?, place))
}

/// A failed response, counted.
///
/// # Errors
/// It doesn't fit into a header: a fault of ours.
pub(super) fn failure(metrics: &Metrics, re: Option<u64>, error: ErrorBody) -> Result<Bytes, EncodeError> {
    metrics.assign_failures.with_label_values(&[error.code.as_str()]).inc();
    failure::encode(re, error)
}
