//! Properties of framing: whatever the values, the split and the damage.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "properties/values.rs"]
mod values;

use fastchat_wire::{
    Block, Code, Deframer, Empty, ErrorBody, Event, Frame, FrameError, FrameLimits, Head, Kind, Request, chat, encode_event,
    encode_failure, encode_request, encode_response,
    limits::{BLOCK_BYTES_MAX, INTEGER_MAX},
    link,
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

/// What a reader makes of the bytes, split after each of the given lengths.
fn read(bytes: &[u8], splits: &[usize], limits: FrameLimits) -> (Vec<Frame>, Option<FrameError>, bool) {
    let mut deframer = Deframer::new(limits);
    let mut frames = Vec::new();
    let mut rest = bytes;
    let mut splits = splits.iter().copied().cycle();
    loop {
        loop {
            match deframer.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(fault) => return (frames, Some(fault), false),
            }
        }
        // No more than the frame in the making, and the read-ahead.
        assert!(deframer.buffer_mut().capacity() <= 2 * bytes.len() + (64 << 10));
        if rest.is_empty() {
            return (frames, None, deframer.is_mid_frame());
        }
        let piece = splits.next().unwrap_or(usize::MAX).clamp(1, rest.len());
        deframer.push(&rest[..piece]);
        rest = &rest[piece..];
    }
}

fn one(bytes: &[u8]) -> Frame {
    let (mut frames, fault, open) = read(bytes, &[], FrameLimits::DEFAULT);
    assert_eq!((frames.len(), fault, open), (1, None, false));
    frames.remove(0)
}

fn same_request<R: Request + PartialEq + Debug>(id: u64, request: &R, block: &Block) {
    let frame = one(&encode_request(id, request, block).unwrap());
    assert_eq!(frame.head.kind, Kind::Request { op: Some(R::OP), id });
    assert_eq!(frame.block, block.bytes);
    assert_eq!(frame.head.parts, block.parts);
    assert_eq!(&frame.parse::<R>().unwrap(), request);
}

fn same_response<T: Serialize + DeserializeOwned + PartialEq + Debug>(re: u64, response: &T, block: &Block) {
    let frame = one(&encode_response(re, response, block).unwrap());
    assert_eq!(
        frame.head.kind,
        Kind::Response {
            re: Some(re),
            failed: false
        }
    );
    assert_eq!(frame.block, block.bytes);
    assert_eq!(frame.failure(), None);
    assert_eq!(&frame.parse::<T>().unwrap(), response);
}

fn same_event<E: Event + PartialEq + Debug>(re: Option<u64>, event: &E, block: &Block) {
    let frame = one(&encode_event(re, event, block).unwrap());
    assert_eq!(frame.head.kind, Kind::Event { name: Some(E::NAME), re });
    assert_eq!(frame.block, block.bytes);
    assert_eq!(&frame.parse::<E>().unwrap(), event);
}

/// One test for each named value: what is written is what is read.
macro_rules! identity {
    ($($test:ident: $same:ident($strategy:expr);)*) => {
        proptest! {$(
            #[test]
            fn $test(id in values::integer(), value in $strategy, block in values::block()) {
                $same(id.into(), &value, &block);
            }
        )*}
    };
}

identity! {
    assign_is_read_as_written: same_request(values::assign());
    assigned_is_read_as_written: same_response(values::assigned());
    hello_is_read_as_written: same_request(values::hello());
    welcome_is_read_as_written: same_response(values::welcome());
    auth_params_is_read_as_written: same_request(values::username().prop_map(|username| chat::auth_params::AuthParams { username }));
    auth_parameters_are_read_as_written: same_response((values::bytes64(16), values::kdf()).prop_map(|(salt, kdf)| chat::auth_params::AuthParameters { salt, kdf }));
    register_is_read_as_written: same_request(values::register());
    login_is_read_as_written: same_request(values::login());
    change_password_is_read_as_written: same_request(values::change_password());
    create_is_read_as_written: same_request(values::create());
    conversations_page_is_read_as_written: same_response(values::conversations_page());
    append_is_read_as_written: same_request(values::append());
    appended_is_read_as_written: same_response(values::appended());
    commit_is_read_as_written: same_request(values::commit());
    fetch_is_read_as_written: same_request(values::fetch());
    mark_is_read_as_written: same_request(values::mark());
    looked_up_is_read_as_written: same_response(values::looked_up());
    entry_is_read_as_written: same_event(values::entry());
    behind_is_read_as_written: same_event(values::behind());
    move_is_read_as_written: same_event(values::move_to());
    load_is_read_as_written: same_event(values::load());
    reserved_is_read_as_written: same_event(values::integer().prop_map(|count| link::reserved::Reserved { count }));
    attach_is_read_as_written: same_request(values::attach());
}

proptest! {
    #[test]
    fn a_failure_is_read_as_written_but_for_the_end_of_a_long_message(
        re in proptest::option::of(values::integer()),
        code in proptest::sample::select(Code::ALL),
        message in values::text(2_000),
        retry_after_ms in proptest::option::of(values::integer()),
    ) {
        let error = ErrorBody { code, message, retry_after_ms };
        let frame = one(&encode_failure(re, &error, &Empty {}).unwrap());
        prop_assert_eq!(frame.head.kind, Kind::Response { re, failed: true });
        let read = frame.failure().unwrap();
        prop_assert!(error.message.starts_with(&read.message));
        prop_assert!(read.message.len() == error.message.len() || read.message.len() > 508);
        prop_assert_eq!((read.code, read.retry_after_ms), (code, retry_after_ms));
    }

    #[test]
    fn the_split_of_the_bytes_changes_nothing(
        frames in proptest::collection::vec((values::integer(), values::append(), values::block()), 0..6),
        splits in proptest::collection::vec(1usize..300, 1..20),
        cut in 0usize..64,
    ) {
        let mut bytes: Vec<u8> = frames.iter().flat_map(|(id, append, block)| encode_request(*id, append, block).unwrap()).collect();
        bytes.truncate(bytes.len().saturating_sub(cut));
        let whole = read(&bytes, &[], FrameLimits::DEFAULT);
        prop_assert_eq!(&whole.1, &None);
        prop_assert_eq!(&read(&bytes, &splits, FrameLimits::DEFAULT), &whole);
        prop_assert_eq!(&read(&bytes, &[1], FrameLimits::DEFAULT), &whole);
    }

    #[test]
    fn random_bytes_never_panic_and_split_alike(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), splits in proptest::collection::vec(1usize..100, 1..8)) {
        let whole = read(&bytes, &[], FrameLimits::UNAUTHENTICATED);
        prop_assert_eq!(read(&bytes, &splits, FrameLimits::UNAUTHENTICATED), whole);
    }

    #[test]
    fn damaged_frames_never_panic_and_split_alike(
        append in values::append(),
        register in values::register(),
        block in values::block(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        splits in proptest::collection::vec(1usize..100, 1..8),
    ) {
        let mut bytes = encode_request(1, &append, &block).unwrap().to_vec();
        bytes.extend_from_slice(&encode_request(2, &register, &block).unwrap());
        for (index, byte) in damage {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        let whole = read(&bytes, &[], FrameLimits::DEFAULT);
        for frame in &whole.0 {
            let _ = (frame.parse::<chat::append::Append>(), frame.parse::<chat::register::Register>(), frame.failure(), frame.pieces());
        }
        prop_assert_eq!(read(&bytes, &splits, FrameLimits::DEFAULT), whole);
    }

    #[test]
    fn any_header_is_understood_or_a_bad_frame(header in values::json_object()) {
        match Head::parse(header.as_bytes()) {
            Ok(head) => {
                let sum: u64 = head.parts.as_deref().map_or(head.content_length, |parts| parts.iter().sum());
                prop_assert_eq!(sum, head.content_length);
                prop_assert!(head.content_length <= INTEGER_MAX);
            }
            Err(fault) => prop_assert_eq!(fault.code, Code::BadFrame),
        }
    }

    #[test]
    fn parts_that_add_up_are_pieces_and_others_are_a_bad_frame(parts in proptest::collection::vec(0u64..50, 0..10), off in -3i64..=3) {
        let sum = parts.iter().sum::<u64>();
        let length = sum.saturating_add_signed(off);
        let header = format!(r#"{{"op":"keys-publish","id":3,"content-length":{length},"parts":{parts:?}}}"#);
        let block: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let bytes = [&u16::try_from(header.len()).unwrap().to_be_bytes()[..], header.as_bytes(), &block].concat();
        let (frames, fault, _) = read(&bytes, &[], FrameLimits::DEFAULT);
        if length == sum {
            let pieces = frames[0].pieces();
            prop_assert_eq!(pieces.iter().map(|piece| piece.len() as u64).collect::<Vec<_>>(), parts);
            prop_assert_eq!(pieces.concat(), block);
        } else {
            let fault = fault.expect("parts with another sum");
            prop_assert_eq!((fault.code, fault.re, frames.len()), (Code::BadFrame, Some(3), 0));
        }
    }

    #[test]
    fn a_block_over_the_limit_is_refused_before_it_is_read(limit in 0usize..5_000, over in 1u64..1 << 40) {
        let length = limit as u64 + over;
        let header = format!(r#"{{"op":"append","id":3,"content-length":{length}}}"#);
        let bytes = [&u16::try_from(header.len()).unwrap().to_be_bytes()[..], header.as_bytes()].concat();
        let limits = FrameLimits { block_bytes_max: limit, ..FrameLimits::DEFAULT };
        let (_, fault, _) = read(&bytes, &[], limits);
        prop_assert_eq!(fault.map(|fault| (fault.code, fault.re)), Some((Code::TooLarge, Some(3))));
        prop_assert!(limit < BLOCK_BYTES_MAX);
    }

    #[test]
    fn pieces_come_apart_as_they_were_put_together(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8)) {
        let frame = one(&encode_request(1, &chat::keys_publish::KeysPublish { last_resort: false }, &Block::pieces(&pieces)).unwrap());
        prop_assert_eq!(frame.pieces(), pieces);
    }
}
