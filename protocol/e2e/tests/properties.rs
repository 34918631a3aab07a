//! What a server or a peer may send: any bytes at all. Nothing panics, nothing opens by chance.

use fastchat_e2e::{
    Content, Credential, EntryId, LogHead, RecoveryCode,
    file::Plaintext,
    keyring::{Binding, open_with_password, open_with_recovery_code},
    open_file,
    password::Kdf,
    secret::{FileKey, RecoveryWrapKey, WrapKey},
};
use proptest::{collection::vec, prelude::*};

const ENTRY: EntryId = EntryId([1; 16]);

/// Bytes that get past the first look: a known version in front.
fn versioned() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..400).prop_map(|mut bytes| {
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        bytes
    })
}

/// JSON that has the envelope right and the rest not.
fn enveloped() -> impl Strategy<Value = String> {
    let types = prop::sample::select(vec!["text", "edit", "delete", "react", "file", "group", "notice", "poll"]);
    let keys = prop::sample::select(vec![
        "body",
        "target",
        "emoji",
        "key",
        "sha256",
        "thumbnail",
        "mentions",
        "picture",
        "notice",
    ]);
    let values = prop_oneof![
        Just("null".to_owned()),
        Just("7".into()),
        Just("[[]]".into()),
        "\"[a-zA-Z0-9_-]{0,50}\""
    ];
    (types, vec((keys, values), 0..4)).prop_map(|(kind, pairs)| {
        let rest: String = pairs.iter().map(|(key, value)| format!(",\"{key}\":{value}")).collect();
        format!("{{\"v\":1,\"type\":\"{kind}\",\"id\":\"{ENTRY}\",\"at\":1{rest}}}")
    })
}

proptest! {
    #[test]
    fn no_bytes_are_a_credential_by_chance(bytes in versioned()) {
        prop_assert!(Credential::verify(&bytes).is_err());
    }

    #[test]
    fn no_bytes_are_a_keyring_by_chance(bytes in versioned()) {
        let binding = Binding { username: "alice".parse().unwrap(), version: 1, kdf: Kdf::REGISTRATION };
        prop_assert!(open_with_password(&bytes, &binding, &WrapKey::new([0; 32])).is_err());
        prop_assert!(open_with_recovery_code(&bytes, &binding, &RecoveryWrapKey::new([0; 32])).is_err());
    }

    #[test]
    fn no_bytes_are_a_sealed_file_by_chance(bytes in vec(any::<u8>(), 0..400)) {
        let announced = Plaintext { size: 10, sha256: [0; 32] };
        let mut written = Vec::new();
        prop_assert!(open_file(&bytes[..], &mut written, &FileKey::new([0; 32]), &announced).is_err());
        prop_assert!(written.is_empty());
    }

    #[test]
    fn any_text_is_read_as_a_recovery_code_or_refused(text in ".{0,80}", code in "[0-9A-Za-z -]{56,70}") {
        prop_assert!(RecoveryCode::parse(&text).is_err());
        if let Ok(read) = RecoveryCode::parse(&code) {
            prop_assert!(RecoveryCode::parse(&read.show()).is_ok());
        }
    }

    #[test]
    fn any_bytes_are_read_as_a_message_or_refused(bytes in vec(any::<u8>(), 0..200), json in enveloped()) {
        prop_assert!(Content::parse(&bytes, ENTRY).is_err());
        if let Ok(read) = Content::parse(json.as_bytes(), ENTRY) {
            let written = read.encode().unwrap();
            prop_assert_eq!(Content::parse(written.expose(), ENTRY).unwrap(), read);
        }
    }

    #[test]
    fn any_bytes_are_read_as_a_log_head_or_refused(bytes in vec(any::<u8>(), 0..100), seq: u64, hash: [u8; 32]) {
        prop_assert!(LogHead::from_authenticated_data(&bytes).is_err());
        let head = LogHead { seq, hash };
        prop_assert_eq!(LogHead::from_authenticated_data(&head.to_authenticated_data()), Ok(head));
    }

    #[test]
    fn only_work_factors_within_the_limits_are_taken(m_kib: u32, t in 0..20_u32, p in 0..4_u32) {
        let within = (64 << 10..=1 << 20).contains(&m_kib) && (3..=16).contains(&t) && p == 1;
        prop_assert_eq!(Kdf::new("argon2id", m_kib, t, p).is_ok(), within);
    }
}
