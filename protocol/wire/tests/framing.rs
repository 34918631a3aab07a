//! What the vectors can't say: memory, limits that change, and text that quotes
//! its request.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test")]

use fastchat_wire::{
    Block, Code, Deframer, Empty, EncodeError, ErrorBody, Frame, FrameLimits, Head, Kind, Op,
    chat::{behind::Behind, create::Create, fetch::Fetch, hello::Hello, login::Login, ping::Ping},
    encode_event, encode_failure, encode_request,
    limits::{BLOCK_BYTES_MAX, ERROR_MESSAGE_BYTES_MAX, HEADER_BYTES_MAX},
};

fn framed(header: &str) -> Vec<u8> {
    let length = u16::try_from(header.len()).unwrap().to_be_bytes();
    [&length, header.as_bytes()].concat()
}

fn only_frame(bytes: &[u8]) -> Frame {
    let mut deframer = Deframer::new(FrameLimits::DEFAULT);
    deframer.push(bytes);
    let frame = deframer.next().unwrap().expect("a whole frame");
    assert!(!deframer.is_mid_frame());
    frame
}

#[test]
fn a_silent_peer_that_announces_the_largest_block_costs_little_memory() {
    let mut deframer = Deframer::new(FrameLimits::DEFAULT);
    deframer.push(&framed(&format!(r#"{{"op":"append","id":1,"content-length":{BLOCK_BYTES_MAX}}}"#)));
    for _ in 0..10 {
        assert_eq!(deframer.next(), Ok(None));
        assert!(deframer.buffer_mut().capacity() <= 64 << 10, "{}", deframer.buffer_mut().capacity());
    }
}

#[test]
fn memory_grows_with_the_bytes_that_came() {
    let mut deframer = Deframer::new(FrameLimits::DEFAULT);
    deframer.push(&framed(&format!(r#"{{"op":"append","id":1,"content-length":{BLOCK_BYTES_MAX}}}"#)));
    let mut came = 0;
    while came < BLOCK_BYTES_MAX {
        assert_eq!(deframer.next(), Ok(None));
        let capacity = deframer.buffer_mut().capacity();
        assert!(capacity <= 2 * came + (64 << 10), "{capacity} for {came}");
        let piece = 1_000.min(BLOCK_BYTES_MAX - came);
        deframer.push(&vec![0; piece]);
        came += piece;
    }
    let frame = deframer.next().unwrap().expect("the block is whole");
    assert_eq!(frame.block.len(), BLOCK_BYTES_MAX);
    assert!(!deframer.is_mid_frame());
}

#[test]
fn a_partial_frame_is_counted_with_its_header() {
    let bytes = framed(r#"{"op":"append","id":1,"content-length":10}"#);
    let mut deframer = Deframer::new(FrameLimits::DEFAULT);
    deframer.push(&bytes[..5]);
    assert_eq!((deframer.next(), deframer.partial_bytes()), (Ok(None), 5));
    deframer.push(&bytes[5..]);
    deframer.push(b"123");
    assert_eq!((deframer.next(), deframer.partial_bytes()), (Ok(None), bytes.len() - 2 + 3));
    deframer.push(b"4567890");
    assert!(deframer.next().unwrap().is_some());
    assert_eq!(deframer.partial_bytes(), 0);
}

#[test]
fn other_limits_hold_from_the_next_header_on() {
    let big = framed(&format!(r#"{{"op":"ping","id":2{}}}"#, " ".repeat(5_000)));
    let mut deframer = Deframer::new(FrameLimits::UNAUTHENTICATED);
    deframer.push(&framed(r#"{"op":"ping","id":1,"content-length":2}"#));
    assert_eq!(deframer.next(), Ok(None));
    deframer.set_limits(FrameLimits {
        header_bytes_max: HEADER_BYTES_MAX,
        block_bytes_max: 1,
    });
    deframer.push(b"ab");
    assert!(deframer.next().unwrap().is_some(), "the block was announced under the old limits");
    deframer.push(&big);
    assert!(deframer.next().unwrap().is_some());
    deframer.set_limits(FrameLimits::UNAUTHENTICATED);
    deframer.push(&big);
    let fault = deframer.next().unwrap_err();
    assert_eq!((fault.code, fault.re), (Code::TooLarge, None));
}

#[test]
fn a_fault_stays_a_fault() {
    let mut deframer = Deframer::new(FrameLimits::DEFAULT);
    deframer.push(&[0, 1]);
    assert!(deframer.next().is_err());
    assert!(deframer.next().is_err(), "and nothing panics");
}

#[test]
fn nesting_as_deep_as_a_header_holds_is_harmless() {
    let deep = "[".repeat(8_000) + &"]".repeat(8_000);
    let ignored = only_frame(&framed(&format!(r#"{{"op":"ping","id":1,"x":{deep}}}"#)));
    assert_eq!(ignored.parse::<Ping>(), Ok(Ping {}));
    let read = only_frame(&framed(&format!(r#"{{"op":"create","id":1,"members":{deep}}}"#)));
    assert_eq!(read.parse::<Create>().unwrap_err().code, Code::BadRequest);
    for key in ["op", "id", "content-length", "parts", "re", "event"] {
        assert_eq!(
            Head::parse(format!(r#"{{"{key}":{deep}}}"#).as_bytes()).unwrap_err().code,
            Code::BadFrame,
            "{key}"
        );
    }
}

#[test]
fn a_verbs_key_given_twice_is_a_bad_frame() {
    // Frame::parse knows it by serde's wording; another wording fails here.
    let frame = only_frame(&framed(r#"{"op":"fetch","id":1,"after":1,"after":1}"#));
    let error = frame.parse::<Fetch>().unwrap_err();
    assert_eq!(error.code, Code::BadFrame, "{error}");
}

#[test]
fn a_message_that_quotes_its_request_always_fits() {
    for quoted in [r"\u0001".repeat(2_000), r#"\""#.repeat(8_000), "é".repeat(8_000)] {
        let frame = only_frame(&framed(&format!(r#"{{"op":"create","id":1,"kind":"{quoted}"}}"#)));
        let error = frame.parse::<Create>().unwrap_err();
        assert!(error.message.len() > ERROR_MESSAGE_BYTES_MAX, "the quote is long");
        let answer = only_frame(&encode_failure(Some(1), &error, &Empty {}).expect("fits"));
        let said = answer.failure().unwrap();
        assert_eq!(said.code, Code::BadRequest);
        assert!(error.message.starts_with(&said.message) && said.message.len() > ERROR_MESSAGE_BYTES_MAX - 4);
    }
}

#[test]
fn a_header_that_no_peer_would_read_is_not_written() {
    let hello = |agent: usize| Hello {
        version: 1,
        agent: "x".repeat(agent),
        ticket: None,
    };
    let rest = encode_request(1, &hello(0), &Block::none()).unwrap().len() - 2;
    let largest = encode_request(1, &hello(HEADER_BYTES_MAX - rest), &Block::none()).unwrap();
    assert_eq!(largest.len(), 2 + HEADER_BYTES_MAX);
    assert_eq!(only_frame(&largest).header.len(), HEADER_BYTES_MAX);
    for over in [1, 100_000] {
        let length = HEADER_BYTES_MAX + over;
        assert_eq!(
            encode_request(1, &hello(length - rest), &Block::none()),
            Err(EncodeError::HeaderTooLarge(length))
        );
    }
}

#[test]
fn a_failure_without_an_id_says_null() {
    let bytes = encode_failure(None, &ErrorBody::new(Code::BadFrame, "no"), &Empty {}).unwrap();
    let frame = only_frame(&bytes);
    assert_eq!(&frame.header[..], br#"{"re":null,"error":{"code":"bad-frame","message":"no"}}"#);
    assert_eq!(frame.head.kind, Kind::Response { re: None, failed: true });
}

#[test]
fn a_code_of_a_later_version_is_still_a_failure() {
    let frame = only_frame(&framed(r#"{"re":1,"error":{"code":"on-fire","message":"run"}}"#));
    assert_eq!(frame.head.kind, Kind::Response { re: Some(1), failed: true });
    assert!(frame.failure().is_some());
}

#[test]
fn an_event_names_its_request_with_an_integer_or_not_at_all() {
    let event = only_frame(&encode_event(Some(4), &Behind { log: None, last_seq: None }, &Block::none()).unwrap());
    assert!(matches!(event.head.kind, Kind::Event { re: Some(4), .. }));
    for re in ["null", "\"4\"", "4.0", "[]"] {
        let fault = Head::parse(format!(r#"{{"event":"behind","re":{re}}}"#).as_bytes()).unwrap_err();
        assert_eq!(fault.code, Code::BadFrame, "{re}");
    }
}

#[test]
fn pieces_share_the_block_and_nothing_is_copied() {
    let mut bytes = framed(r#"{"op":"keys-publish","id":1,"content-length":5,"parts":[2,0,3]}"#);
    bytes.extend_from_slice(b"abcde");
    let frame = only_frame(&bytes);
    assert_eq!(frame.pieces(), ["ab", "", "cde"]);
    assert_eq!(frame.pieces()[2].as_ptr(), frame.block[2..].as_ptr());
    assert_eq!(only_frame(&framed(r#"{"op":"ping","id":1}"#)).pieces(), [""]);
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let auth = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let frame = only_frame(&framed(&format!(r#"{{"op":"login","id":1,"username":"alice","auth":"{auth}"}}"#)));
    let login: Login = frame.parse().unwrap();
    assert!(!format!("{login:?}").contains(auth) && !format!("{login:?}").contains("31"));
    let hello = Hello {
        version: 1,
        agent: String::new(),
        ticket: Some(fastchat_wire::Secret::new("open sesame".into())),
    };
    assert!(!format!("{hello:?}").contains("sesame"));
}

#[test]
fn every_op_is_known_by_its_name_only() {
    for op in Op::ALL {
        assert_eq!(Op::from_wire(op.as_str()), Some(*op));
        assert_eq!(Op::from_wire(&op.as_str().to_uppercase()), None);
    }
}
