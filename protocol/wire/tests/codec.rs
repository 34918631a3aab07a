//! The tokio codec gives what the deframer gives, and minds the stream's end.
#![cfg(feature = "codec")]
#![expect(clippy::unwrap_used, reason = "a test")]

use bytes::BytesMut;
use fastchat_wire::{
    Block, Code, Frame, FrameLimits,
    chat::{ping::Ping, signal::Signal},
    codec::{CodecError, FrameCodec},
    encode_request,
};
use std::io::ErrorKind;
use tokio_util::codec::{Decoder, Encoder};

/// Three frames, the middle one with a block.
fn three() -> Vec<u8> {
    let log = "0198c5a0-0000-7000-8000-00000000c001".parse().unwrap();
    let mut out = BytesMut::new();
    let mut codec = FrameCodec::new(FrameLimits::DEFAULT);
    codec
        .encode(encode_request(1, &Ping {}, &Block::none()).unwrap(), &mut out)
        .unwrap();
    let signal = Signal {
        conversation: log,
        epoch: 3,
    };
    codec
        .encode(encode_request(2, &signal, &Block::binary("typing")).unwrap(), &mut out)
        .unwrap();
    codec
        .encode(encode_request(3, &Ping {}, &Block::none()).unwrap(), &mut out)
        .unwrap();
    out.to_vec()
}

fn read(step: usize) -> Vec<Frame> {
    let mut codec = FrameCodec::new(FrameLimits::DEFAULT);
    let mut source = BytesMut::new();
    let mut frames = Vec::new();
    for piece in three().chunks(step) {
        source.extend_from_slice(piece);
        while let Some(frame) = codec.decode(&mut source).unwrap() {
            frames.push(frame);
        }
    }
    assert!(codec.decode_eof(&mut source).unwrap().is_none());
    frames
}

#[test]
fn frames_come_out_however_the_bytes_are_split() {
    let whole = read(usize::MAX);
    assert_eq!(whole.len(), 3);
    assert_eq!(whole[1].block, "typing");
    for step in 1..200 {
        assert_eq!(read(step), whole, "in pieces of {step}");
    }
}

#[test]
fn a_stream_that_ends_within_a_frame_is_an_error() {
    let bytes = three();
    for end in [1, 10, 30, bytes.len() - 1] {
        let mut codec = FrameCodec::new(FrameLimits::DEFAULT);
        let mut source = BytesMut::from(&bytes[..end]);
        let fault = loop {
            match codec.decode_eof(&mut source) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("cut after {end} bytes and not noticed"),
                Err(fault) => break fault,
            }
        };
        assert!(matches!(fault, CodecError::Io(e) if e.kind() == ErrorKind::UnexpectedEof));
    }
}

#[test]
fn limits_can_be_raised_after_sign_in() {
    let header = format!(r#"{{"op":"ping","id":2{}}}"#, " ".repeat(5_000));
    let bytes = [&u16::try_from(header.len()).unwrap().to_be_bytes()[..], header.as_bytes()].concat();
    let mut codec = FrameCodec::new(FrameLimits::UNAUTHENTICATED);
    let refused = codec.decode(&mut BytesMut::from(&bytes[..]));
    assert!(matches!(refused, Err(CodecError::Frame(fault)) if fault.code == Code::TooLarge));
    let mut codec = FrameCodec::new(FrameLimits::UNAUTHENTICATED);
    codec.set_limits(FrameLimits::DEFAULT);
    assert!(codec.decode(&mut BytesMut::from(&bytes[..])).unwrap().is_some());
}
