//! The golden vectors (`tests/vectors/*.json`), which other languages read too:
//! each gives what it says, however its bytes are split, and what our types
//! write is what stands there.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test")]

#[path = "vectors/model.rs"]
mod model;
#[path = "vectors/verbs.rs"]
mod verbs;

use fastchat_wire::{
    Code, Deframer, EventName, Frame, FrameError, Kind, Op,
    control::{Spec, Status, spec_path, status_path},
};
use model::{Acceptance, Control, Document, Expected, Frames, Reads, Vector};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;

fn frames() -> Vec<Vector> {
    let file: Frames = serde_json::from_str(include_str!("vectors/frames.json")).expect("frames.json");
    file.vectors
}

fn control() -> Control {
    serde_json::from_str(include_str!("vectors/control.json")).expect("control.json")
}

/// Everything that a reader makes of the bytes when they come in pieces of
/// `step`: the frames, the fault that ended them, and whether a frame is open.
fn read(vector: &Vector, step: usize) -> (Vec<Frame>, Option<FrameError>, bool) {
    let mut deframer = Deframer::new(vector.reader.limits());
    let mut frames = Vec::new();
    for piece in model::bytes(&vector.bytes).chunks(step) {
        deframer.push(piece);
        loop {
            match deframer.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(fault) => return (frames, Some(fault), false),
            }
        }
    }
    let open = deframer.is_mid_frame();
    (frames, None, open)
}

fn answers(expected: &Expected) -> Option<Op> {
    expected
        .answers
        .as_deref()
        .map(|op| Op::from_wire(op).expect("answers names an op"))
}

fn check_head(name: &str, frame: &Frame, expected: &Expected) {
    let kind = match frame.head.kind {
        Kind::Request { op, id } => {
            assert_eq!(op, expected.op.as_deref().and_then(Op::from_wire), "{name}: op");
            assert_eq!(Some(id), expected.id, "{name}: id");
            "request"
        }
        Kind::Response { re, failed } => {
            assert_eq!(re, expected.re, "{name}: re");
            assert_eq!(failed, expected.answers.is_none(), "{name}: what it answers, or a failure");
            "response"
        }
        Kind::Event { name: event, re } => {
            assert_eq!(event, expected.event.as_deref().and_then(EventName::from_wire), "{name}: event");
            assert_eq!(re, expected.re, "{name}: re");
            "event"
        }
    };
    assert_eq!(kind, expected.kind, "{name}: kind");
    if let Some(header) = &expected.header {
        let [read, wanted]: [serde_json::Value; 2] =
            [&frame.header, header.get().as_bytes()].map(|text| serde_json::from_slice(text).expect("a header is JSON"));
        assert_eq!(read, wanted, "{name}: header");
    }
    assert!(frame.block == model::bytes(&expected.block), "{name}: block");
    assert_eq!(frame.head.content_length, frame.block.len() as u64, "{name}: content-length");
    if frame.head.parts.is_some() {
        let joined: Vec<u8> = frame.pieces().concat();
        assert_eq!(joined, frame.block, "{name}: pieces");
    }
}

#[test]
fn every_vector_gives_its_frames_and_its_fault() {
    for vector in frames() {
        let name = &vector.name;
        let (read, fault, open) = read(&vector, usize::MAX);
        assert_eq!(read.len(), vector.frames.len(), "{name}: frames, {fault:?}");
        for (frame, expected) in read.iter().zip(&vector.frames) {
            check_head(name, frame, expected);
        }
        assert_eq!(
            fault.map(|f| (f.code, f.re)),
            vector.error.as_ref().map(|f| (f.code, f.re)),
            "{name}: fault"
        );
        assert_eq!(open, vector.incomplete, "{name}: ends within a frame");
    }
}

#[test]
fn the_split_of_the_bytes_changes_nothing() {
    for vector in frames() {
        let whole = read(&vector, usize::MAX);
        // Byte by byte is slow for the 4 MiB blocks, and says nothing new there.
        let steps: &[usize] = if model::bytes(&vector.bytes).len() > 100_000 {
            &[65_537]
        } else {
            &[1, 2, 3, 7, 1_000]
        };
        for step in steps {
            assert_eq!(read(&vector, *step), whole, "{}: in pieces of {step}", vector.name);
        }
    }
}

#[test]
fn what_the_types_write_is_what_stands_in_the_file() {
    for vector in frames() {
        let name = &vector.name;
        for (frame, expected) in read(&vector, usize::MAX).0.iter().zip(&vector.frames) {
            match (expected.reads, verbs::again(frame, answers(expected))) {
                (Reads::Canonical, Some(Ok(bytes))) => {
                    verbs::check_block(frame, answers(expected));
                    let header = String::from_utf8_lossy(&bytes[2..bytes.len() - frame.block.len()]);
                    assert_eq!(header, expected.header.as_ref().expect("a header").get(), "{name}: header");
                    assert!(bytes == from_frame(expected), "{name}: other bytes were written");
                }
                (Reads::Readable, Some(Ok(_))) | (Reads::Unknown, None) => {}
                (Reads::Refused(code), Some(Err(error))) => assert_eq!(error.code, code, "{name}: {error}"),
                (_, again) => panic!("{name}: {again:?}"),
            }
        }
    }
}

/// The bytes of a frame as the file has it, in the file's order of keys.
fn from_frame(expected: &Expected) -> Vec<u8> {
    let header = expected.header.as_ref().expect("a header").get().as_bytes();
    let length = u16::try_from(header.len()).expect("a header that fits").to_be_bytes();
    [&length[..], header, &model::bytes(&expected.block)].concat()
}

#[test]
fn the_bytes_of_the_file_follow_from_its_frames() {
    for vector in frames() {
        let whole = vector.error.is_none() && !vector.incomplete;
        if whole && vector.frames.iter().all(|frame| frame.reads == Reads::Canonical) {
            let wanted: Vec<u8> = vector.frames.iter().flat_map(from_frame).collect();
            let same = model::bytes(&vector.bytes) == wanted;
            assert!(same, "{}: write \"bytes\": [\"{}\"]", vector.name, model::hex(&wanted));
        }
    }
}

#[test]
fn every_op_event_and_code_has_a_vector() {
    let (mut requests, mut responses, mut events, mut codes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for vector in frames() {
        for (frame, expected) in read(&vector, usize::MAX).0.iter().zip(&vector.frames) {
            if expected.reads != Reads::Canonical {
                continue;
            }
            requests.extend(expected.op.clone());
            responses.extend(expected.answers.clone());
            events.extend(expected.event.clone());
            codes.extend(frame.failure().map(|error| error.code.as_str().to_owned()));
        }
    }
    let ops: BTreeSet<String> = Op::ALL.iter().map(|op| op.as_str().to_owned()).collect();
    assert_eq!(requests, ops, "requests");
    assert_eq!(responses, ops, "responses");
    assert_eq!(events, EventName::ALL.iter().map(|name| name.as_str().to_owned()).collect());
    assert_eq!(codes, Code::ALL.iter().map(|code| code.as_str().to_owned()).collect());
}

fn check_document<T: Serialize + DeserializeOwned>(document: &Document) {
    let name = &document.name;
    let read = serde_json::from_str::<T>(document.document.get());
    match (document.reads, read) {
        (Acceptance::Canonical, Ok(read)) => assert_eq!(serde_json::to_string(&read).unwrap(), document.document.get(), "{name}"),
        (Acceptance::Readable, Ok(_)) | (Acceptance::Refused, Err(_)) => {}
        (_, Err(error)) => panic!("{name}: {error}"),
        (Acceptance::Refused, Ok(_)) => panic!("{name}: was read"),
    }
}

#[test]
fn control_documents_are_read_and_written_as_they_stand() {
    let control = control();
    control.specs.iter().for_each(check_document::<Spec>);
    control.statuses.iter().for_each(check_document::<Status>);
}

#[test]
fn control_paths_name_role_and_process() {
    for path in control().paths {
        assert_eq!(spec_path(path.role, &path.name), path.spec);
        assert_eq!(status_path(path.role, &path.name), path.status);
    }
}
