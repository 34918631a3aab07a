//! `protocol/PROTOCOL.md` and this crate say the same: verbs, events, codes,
//! limits, and the example.
#![expect(clippy::expect_used, reason = "a test")]

use fastchat_wire::{Code, Deframer, EventName, FrameLimits, Kind, Op, limits::*};

const PAGE: &str = include_str!("../../PROTOCOL.md");

/// The text of a section, by its number.
fn section(number: u32) -> &'static str {
    let start = PAGE.find(&format!("\n## {number}. ")).expect("the section is there");
    let rest = &PAGE[start + 1..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

/// The first column of the tables whose head has this name there.
fn column(text: &'static str, head: &str) -> Vec<&'static str> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("| ").and_then(|row| row.split(" | ").next()) {
            Some(first) if first == head => inside = true,
            Some(first) if inside && !first.starts_with("---") => names.push(first.trim_matches('`')),
            Some(_) => {}
            None => inside = false,
        }
    }
    names
}

/// The `quoted` words of a text.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_ops_of_the_page_are_the_ops_of_the_crate() {
    let mut page = vec!["assign"];
    page.extend((4..=7).flat_map(|n| column(section(n), "op")));
    page.push("attach");
    let ours: Vec<&str> = Op::ALL.iter().map(|op| op.as_str()).collect();
    assert_eq!(page, ours);
    assert!(section(3).contains("\n`assign` → "), "§3 has assign");
    assert!(section(9).contains("`attach` ("), "§9 has attach");
}

#[test]
fn the_events_of_the_page_are_the_events_of_the_crate() {
    let mut page = column(section(8), "event");
    page.extend(["load", "reserved"]);
    let ours: Vec<&str> = EventName::ALL.iter().map(|name| name.as_str()).collect();
    assert_eq!(page, ours);
    for name in ["load", "reserved"] {
        assert!(section(9).contains(&format!("`{name}` events")), "§9 has {name}");
    }
}

#[test]
fn the_codes_of_the_page_are_the_codes_of_the_crate() {
    let list = section(2).split("Codes, exhaustively: ").nth(1).expect("the list of codes");
    let page = quoted(list.split(".\n").next().unwrap());
    let ours: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(page, ours);
}

#[test]
fn the_retryable_codes_of_the_page_are_those_of_the_crate() {
    let list = section(2).split("with a retryable code (").nth(1).expect("the list");
    let mut page = quoted(list.split(')').next().unwrap());
    page.sort_unstable();
    let mut ours: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| code.is_retryable())
        .map(|code| code.as_str())
        .collect();
    ours.sort_unstable();
    assert_eq!(page, ours);
}

/// `16,384`, as the page writes numbers of bytes and packages.
fn thousands(number: usize) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", number / 1_000, number % 1_000),
    }
}

#[test]
fn the_limits_of_the_page_are_the_limits_of_the_crate() {
    let (kib, mib) = (|bytes: usize| bytes >> 10, |bytes: usize| bytes >> 20);
    let said = [
        (
            2,
            format!(
                "`H` is {HEADER_BYTES_MIN}..={HEADER_BYTES_MAX}; before sign-in a server accepts at most {HEADER_BYTES_MAX_UNAUTHENTICATED}."
            ),
        ),
        (
            2,
            format!(
                "default {} MiB; {} KiB before sign-in)",
                mib(BLOCK_BYTES_MAX),
                kib(BLOCK_BYTES_MAX_UNAUTHENTICATED)
            ),
        ),
        (2, format!("A frame completes within {} s", FRAME_MS_MAX / 1_000)),
        (
            2,
            format!("partial blocks that it holds (default {} MiB)", mib(PARTIAL_BLOCKS_BYTES_MAX)),
        ),
        (2, format!("discards input for at most {} s", DISCARD_MS_MAX / 1_000)),
        (2, format!("integers 1..2^{}", INTEGER_MAX.ilog2())),
        (2, format!("A username is 1 to {USERNAME_CHARS_MAX} of")),
        (2, format!("a `message` has at most {ERROR_MESSAGE_BYTES_MAX} bytes")),
        (3, format!("any string up to {HINT_BYTES_MAX} bytes")),
        (3, format!(r#""expires-in-ms":{TICKET_MS}"#)),
        (4, format!("`salt` ({SALT_BYTES} bytes)")),
        (4, format!("the sealed keyring (1 B to {} KiB, opaque)", kib(KEYRING_BYTES_MAX))),
        (4, format!("An account has at most {DEVICES_PER_ACCOUNT_MAX} devices")),
        (4, format!("A {}th device: `quota-exceeded`", DEVICES_PER_ACCOUNT_MAX + 1)),
        (4, format!("know of the session (at most {PRESENCE_WAIT_MS_MAX} ms)")),
        (4, format!("`agent` and `device-name` have at most {LABEL_BYTES_MAX} bytes")),
        (5, format!("[account] (at most {CREATE_MEMBERS_MAX}, without oneself")),
        (5, format!("`limit` (1..={PAGE_MAX}) | `more`; block")),
        (5, format!("`limit` (1..={PAGE_MAX}, default {FETCH_LIMIT_DEFAULT})")),
        (5, format!("conversations of more than {MARK_EVENT_MEMBERS_MAX} accounts")),
        (5, format!("block ≤ {} KiB", kib(SIGNAL_BYTES_MAX))),
        (8, format!("gone from every server for {} s", PRESENCE_GONE_MS / 1_000)),
        (8, format!("is told of at most {PRESENCE_ACCOUNTS_MAX} others")),
        (5, format!("a short token (1..={KIND_BYTES_MAX} of `a-z-`)")),
        (6, format!("(at most {KEYS_CLAIM_MAX} of each)")),
        (
            6,
            format!("an identity has 1 to {IDENTITY_BYTES_MAX} bytes, a credential 1 to {CREDENTIAL_BYTES_MAX}"),
        ),
        (
            6,
            format!(
                "One `keys-publish` takes 1 to {KEYS_PUBLISH_MAX} KeyPackages of 1 to {} bytes",
                thousands(KEY_PACKAGE_BYTES_MAX)
            ),
        ),
        (
            6,
            format!("{} unclaimed ones of a device are `quota-exceeded`", thousands(KEYS_PER_DEVICE_MAX)),
        ),
        (
            6,
            format!("would hand out more than {} packages", thousands(KEYS_CLAIM_PACKAGES_MAX)),
        ),
        (7, format!("per blob (default {} MiB)", BLOB_BYTES_MAX >> 20)),
        (7, format!("per account and day (default {} GiB)", BLOB_BYTES_PER_DAY_MAX >> 30)),
        (
            9,
            format!("(within {LOAD_DELAY_MS_MAX} ms) and every {LOAD_INTERVAL_MS} ms otherwise"),
        ),
        (10, format!("not signed in {} s after it opened", SIGN_IN_MS_MAX / 1_000)),
        (
            11,
            format!(r#""max-header":{HEADER_BYTES_MAX},"max-block":{BLOCK_BYTES_MAX},"ping-interval-ms":{PING_INTERVAL_MS}"#),
        ),
    ];
    for (number, text) in said {
        assert!(section(number).contains(&text), "§{number} does not say: {text}");
    }
    assert!(section(9).contains("Two seconds of silence") && LINK_SILENCE_MS_MAX == 2_000);
}

#[test]
fn the_example_of_the_page_is_a_frame() {
    let line = section(11)
        .lines()
        .find_map(|line| line.strip_prefix("-> 00 2d "))
        .expect("the first frame");
    let mut deframer = Deframer::new(FrameLimits::UNAUTHENTICATED);
    deframer.push(&[0x00, 0x2d]);
    deframer.push(line.as_bytes());
    let frame = deframer.next().unwrap().expect("whole");
    assert_eq!(
        frame.head.kind,
        Kind::Request {
            op: Some(Op::Hello),
            id: 1
        }
    );
    assert!(!deframer.is_mid_frame());
}
