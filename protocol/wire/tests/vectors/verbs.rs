//! Reads a frame as its verb's type and writes it again. The matches are
//! exhaustive: a new verb does not compile until it stands here.

use bytes::Bytes;
use fastchat_wire::{
    Block, ErrorBody, EventName, Frame, Kind, Op, Request, chat, encode_event, encode_failure, encode_request, encode_response, link,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// The block with the header keys that describe it.
fn block(frame: &Frame) -> Block {
    let header: serde_json::Value = serde_json::from_slice(&frame.header).expect("JSON");
    Block {
        bytes: frame.block.clone(),
        content_type: (header["content-type"] == "application/json").then_some("application/json"),
        parts: frame.head.parts.clone(),
    }
}

/// The first piece of a block, written again by its type.
fn json<T: Serialize + DeserializeOwned>(frame: &Frame) {
    let first = &frame.pieces()[0];
    let value: T = serde_json::from_slice(first).expect("the block's own type reads it");
    assert_eq!(
        serde_json::to_vec(&value).unwrap(),
        first.to_vec(),
        "the block is written again as it was"
    );
}

fn request<R: Request>(id: u64, frame: &Frame) -> Result<Bytes, ErrorBody> {
    let arguments: R = frame.parse()?;
    Ok(encode_request(id, &arguments, &block(frame)).expect("fits"))
}

fn response<T: Serialize + DeserializeOwned>(re: u64, frame: &Frame) -> Result<Bytes, ErrorBody> {
    let answer: T = frame.parse()?;
    Ok(encode_response(re, &answer, &block(frame)).expect("fits"))
}

fn event<E: fastchat_wire::Event>(re: Option<u64>, frame: &Frame) -> Result<Bytes, ErrorBody> {
    let event: E = frame.parse()?;
    Ok(encode_event(re, &event, &block(frame)).expect("fits"))
}

macro_rules! verbs {
    ($($op:ident => $type:ty,)*) => {
        fn again_request(op: Op, id: u64, frame: &Frame) -> Result<Bytes, ErrorBody> {
            match op { $(Op::$op => { assert_eq!(<$type>::OP, Op::$op); request::<$type>(id, frame) })* }
        }
        fn again_response(op: Op, re: u64, frame: &Frame) -> Result<Bytes, ErrorBody> {
            match op { $(Op::$op => response::<<$type as Request>::Response>(re, frame),)* }
        }
    };
}

verbs! {
    Assign => chat::assign::Assign,
    Hello => chat::hello::Hello,
    AuthParams => chat::auth_params::AuthParams,
    Register => chat::register::Register,
    Login => chat::login::Login,
    Resume => chat::resume::Resume,
    Logout => chat::logout::Logout,
    ChangePassword => chat::change_password::ChangePassword,
    Ping => chat::ping::Ping,
    Create => chat::create::Create,
    Conversations => chat::conversations::Conversations,
    Members => chat::members::Members,
    Append => chat::append::Append,
    Commit => chat::commit::Commit,
    Fetch => chat::fetch::Fetch,
    Trim => chat::trim::Trim,
    GroupInfo => chat::group_info::GroupInfo,
    Grant => chat::grant::Grant,
    Leave => chat::leave::Leave,
    Mark => chat::mark::Mark,
    Signal => chat::signal::Signal,
    Lookup => chat::lookup::Lookup,
    SetCredential => chat::set_credential::SetCredential,
    RemoveDevice => chat::remove_device::RemoveDevice,
    RenameDevice => chat::rename_device::RenameDevice,
    KeysPublish => chat::keys_publish::KeysPublish,
    KeysCount => chat::keys_count::KeysCount,
    KeysClaim => chat::keys_claim::KeysClaim,
    BlobCreate => chat::blob_create::BlobCreate,
    BlobPut => chat::blob_put::BlobPut,
    BlobGet => chat::blob_get::BlobGet,
    Attach => link::attach::Attach,
}

fn again_event(name: EventName, re: Option<u64>, frame: &Frame) -> Result<Bytes, ErrorBody> {
    match name {
        EventName::Entry => event::<chat::entry::EntryEvent>(re, frame),
        EventName::Behind => event::<chat::behind::Behind>(re, frame),
        EventName::Mark => event::<chat::mark::MarkEvent>(re, frame),
        EventName::Signal => event::<chat::signal::SignalEvent>(re, frame),
        EventName::Device => event::<chat::remove_device::DeviceEvent>(re, frame),
        EventName::Presence => event::<chat::presence::Presence>(re, frame),
        EventName::Move => event::<chat::move_to::Move>(re, frame),
        EventName::Load => event::<link::load::Load>(re, frame),
        EventName::Reserved => event::<link::reserved::Reserved>(re, frame),
    }
}

/// A failure; an `epoch-conflict` also carries the current epoch.
fn again_failure(re: Option<u64>, frame: &Frame) -> Result<Bytes, ErrorBody> {
    #[derive(serde::Deserialize)]
    struct Failure<'a> {
        #[serde(borrow)]
        error: &'a RawValue,
    }
    let raw: Failure<'_> = serde_json::from_slice(&frame.header).expect("JSON");
    let error: ErrorBody = serde_json::from_str(raw.error.get()).expect("an error");
    assert_eq!(frame.failure(), Some(error.clone()));
    Ok(match frame.parse::<chat::commit::CurrentEpoch>() {
        Ok(epoch) => encode_failure(re, &error, &epoch),
        Err(_) => encode_failure(re, &error, &fastchat_wire::Empty {}),
    }
    .expect("fits"))
}

/// The frame read as its verb's type and written again; `None` where the
/// protocol has no such verb. `answers` is the verb of a response.
pub(crate) fn again(frame: &Frame, answers: Option<Op>) -> Option<Result<Bytes, ErrorBody>> {
    match frame.head.kind {
        Kind::Request { op, id } => op.map(|op| again_request(op, id, frame)),
        Kind::Event { name, re } => name.map(|name| again_event(name, re, frame)),
        Kind::Response { re, failed: true } => Some(again_failure(re, frame)),
        Kind::Response { re, failed: false } => answers.map(|op| again_response(op, re.expect("an answer names its request"), frame)),
    }
}

/// Reads and writes the JSON documents that some verbs carry in their block.
pub(crate) fn check_block(frame: &Frame, answers: Option<Op>) {
    match (frame.head.kind, answers) {
        (Kind::Request { op: Some(Op::Commit), .. }, _) => json::<chat::commit::CommitLists>(frame),
        (
            Kind::Request {
                op: Some(Op::KeysClaim), ..
            },
            _,
        ) => json::<chat::keys_claim::KeysClaimLists>(frame),
        (Kind::Response { failed: false, .. }, Some(Op::Conversations)) => json::<Vec<chat::conversations::Conversation>>(frame),
        (Kind::Response { failed: false, .. }, Some(Op::Members)) => json::<Vec<chat::members::Member>>(frame),
        (Kind::Response { failed: false, .. }, Some(Op::KeysClaim)) => json::<Vec<fastchat_wire::DeviceId>>(frame),
        (
            Kind::Event {
                name: Some(EventName::Entry),
                ..
            },
            _,
        ) => {
            let entry: chat::entry::EntryEvent = frame.parse().expect("an entry");
            match entry.kind.as_str() {
                chat::server_kind::MEMBER => json::<chat::entry::MemberChanges>(frame),
                chat::server_kind::WELCOMED => json::<chat::commit::WelcomedNotice>(frame),
                _ => {}
            }
        }
        _ => {}
    }
}
