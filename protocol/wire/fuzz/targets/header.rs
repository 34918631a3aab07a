//! One header, read as everything that it could be: no panic, and what is
//! refused is refused with a code that says so.
#![no_main]

use fastchat_wire::{Code, Deframer, Empty, Frame, FrameLimits, Kind, Op, Request, chat, encode_failure, link};
use libfuzzer_sys::fuzz_target;

/// A header as a frame; its block, if it announces one, is zeros.
fn frame(header: &[u8]) -> Option<Frame> {
    let mut deframer = Deframer::new(FrameLimits::DEFAULT);
    deframer.push(&u16::try_from(header.len()).ok()?.to_be_bytes());
    deframer.push(header);
    match deframer.next() {
        Ok(Some(frame)) => Some(frame),
        Ok(None) => {
            deframer.push(&vec![0; FrameLimits::DEFAULT.block_bytes_max]);
            deframer.next().ok().flatten()
        }
        Err(fault) => {
            assert!(matches!(fault.code, Code::BadFrame | Code::TooLarge));
            None
        }
    }
}

/// Arguments, or a refusal that can be written.
fn request<R: Request>(frame: &Frame, id: u64) {
    if let Err(error) = frame.parse::<R>() {
        assert!(matches!(error.code, Code::BadFrame | Code::BadRequest));
        assert!(encode_failure(Some(id), &error, &Empty {}).is_ok(), "a refusal always fits");
    }
    let _ = frame.parse::<R::Response>();
}

fuzz_target!(|header: &[u8]| {
    let Some(frame) = frame(header) else { return };
    assert_eq!(frame.pieces().concat(), frame.block, "the pieces are the block");
    let _ = frame.failure();
    match frame.head.kind {
        Kind::Request { op: Some(op), id } => match op {
            Op::Assign => request::<chat::assign::Assign>(&frame, id),
            Op::Hello => request::<chat::hello::Hello>(&frame, id),
            Op::AuthParams => request::<chat::auth_params::AuthParams>(&frame, id),
            Op::Register => request::<chat::register::Register>(&frame, id),
            Op::Login => request::<chat::login::Login>(&frame, id),
            Op::Resume => request::<chat::resume::Resume>(&frame, id),
            Op::Logout => request::<chat::logout::Logout>(&frame, id),
            Op::ChangePassword => request::<chat::change_password::ChangePassword>(&frame, id),
            Op::Ping => request::<chat::ping::Ping>(&frame, id),
            Op::Create => request::<chat::create::Create>(&frame, id),
            Op::Conversations => request::<chat::conversations::Conversations>(&frame, id),
            Op::Members => request::<chat::members::Members>(&frame, id),
            Op::Append => request::<chat::append::Append>(&frame, id),
            Op::Commit => request::<chat::commit::Commit>(&frame, id),
            Op::Fetch => request::<chat::fetch::Fetch>(&frame, id),
            Op::Trim => request::<chat::trim::Trim>(&frame, id),
            Op::GroupInfo => request::<chat::group_info::GroupInfo>(&frame, id),
            Op::Grant => request::<chat::grant::Grant>(&frame, id),
            Op::Leave => request::<chat::leave::Leave>(&frame, id),
            Op::Mark => request::<chat::mark::Mark>(&frame, id),
            Op::Signal => request::<chat::signal::Signal>(&frame, id),
            Op::Lookup => request::<chat::lookup::Lookup>(&frame, id),
            Op::SetCredential => request::<chat::set_credential::SetCredential>(&frame, id),
            Op::RemoveDevice => request::<chat::remove_device::RemoveDevice>(&frame, id),
            Op::KeysPublish => request::<chat::keys_publish::KeysPublish>(&frame, id),
            Op::KeysCount => request::<chat::keys_count::KeysCount>(&frame, id),
            Op::KeysClaim => request::<chat::keys_claim::KeysClaim>(&frame, id),
            Op::BlobCreate => request::<chat::blob_create::BlobCreate>(&frame, id),
            Op::BlobPut => request::<chat::blob_put::BlobPut>(&frame, id),
            Op::BlobGet => request::<chat::blob_get::BlobGet>(&frame, id),
            Op::Attach => request::<link::attach::Attach>(&frame, id),
        },
        Kind::Event { .. } => {
            let _ = frame.parse::<chat::entry::EntryEvent>();
            let _ = frame.parse::<chat::move_to::Move>();
            let _ = frame.parse::<link::load::Load>();
            let _ = frame.parse::<link::reserved::Reserved>();
        }
        Kind::Request { op: None, .. } | Kind::Response { .. } => {}
    }
});
