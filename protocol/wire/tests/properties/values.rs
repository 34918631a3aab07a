//! Arbitrary values of the protocol's types.

use fastchat_wire::{
    AccountId, Block, DeviceId, EntryId, LogId, MoveId, Secret, Secret32, Username,
    chat::{
        append::{Append, Appended},
        assign::{Assign, Assigned},
        auth_params::Kdf,
        behind::Behind,
        change_password::ChangePassword,
        commit::Commit,
        conversations::{ConversationsPage, LogBounds},
        create::{ConversationKind, Create},
        entry::EntryEvent,
        fetch::Fetch,
        hello::{Hello, Welcome},
        login::{Login, Method},
        lookup::{DeviceInfo, LookedUp},
        mark::Mark,
        move_to::{Move, MoveReason},
        register::Register,
    },
    encoding::Bytes64,
    limits::INTEGER_MAX,
    link::{attach::Attach, load::Load},
};
use proptest::{collection::vec, option::of, prelude::*, sample::select};

/// What an integer on the wire may be.
pub(crate) fn integer() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..10, 0..=INTEGER_MAX, Just(INTEGER_MAX)]
}

/// Any text of at most so many characters, with plenty to escape.
pub(crate) fn text(chars_max: usize) -> impl Strategy<Value = String> {
    let char = prop_oneof![4 => any::<char>(), 1 => select(vec!['"', '\\', '\0', '\n', '\u{1}', '\u{7f}', '\u{2028}', '😀', '{'])];
    vec(char, 0..chars_max).prop_map(|chars| chars.into_iter().collect())
}

fn secret() -> impl Strategy<Value = Secret> {
    text(80).prop_map(Secret::new)
}

fn secret32() -> impl Strategy<Value = Secret32> {
    any::<[u8; 32]>().prop_map(Secret32::new)
}

pub(crate) fn bytes64(length: usize) -> impl Strategy<Value = Bytes64> {
    vec(any::<u8>(), 0..=length).prop_map(Bytes64)
}

pub(crate) fn username() -> impl Strategy<Value = Username> {
    "[a-z0-9][a-z0-9._-]{0,31}".prop_map(|name| name.parse().unwrap())
}

macro_rules! ids {
    ($($name:ident: $type:ident;)*) => {$(
        fn $name() -> impl Strategy<Value = $type> {
            any::<[u8; 16]>().prop_map($type)
        }
    )*};
}

ids! {
    account: AccountId;
    device: DeviceId;
    log: LogId;
    entry_id: EntryId;
    move_id: MoveId;
}

/// No block, opaque bytes, JSON, or pieces.
pub(crate) fn block() -> impl Strategy<Value = Block> {
    prop_oneof![
        Just(Block::none()),
        vec(any::<u8>(), 0..500).prop_map(Block::binary),
        vec(integer(), 0..20).prop_map(|numbers| Block::json(&numbers)),
        vec(vec(any::<u8>(), 0..50), 0..6).prop_map(|pieces| Block::pieces(&pieces)),
    ]
}

pub(crate) fn kdf() -> impl Strategy<Value = Kdf> {
    (text(20), any::<(u32, u32, u32)>()).prop_map(|(alg, (m_kib, t, p))| Kdf { alg, m_kib, t, p })
}

pub(crate) fn assign() -> impl Strategy<Value = Assign> {
    (of(text(64)), any::<bool>(), of(move_id()), any::<bool>()).prop_map(|(hint, resume, move_id, proxy)| Assign {
        hint,
        resume,
        move_id,
        proxy,
    })
}

pub(crate) fn assigned() -> impl Strategy<Value = Assigned> {
    (text(20), of(text(40)), secret(), integer(), integer()).prop_map(|(server, address, ticket, wait_ms, expires_in_ms)| Assigned {
        server,
        address,
        ticket,
        wait_ms,
        expires_in_ms,
    })
}

pub(crate) fn hello() -> impl Strategy<Value = Hello> {
    (any::<u32>(), text(128), of(secret())).prop_map(|(version, agent, ticket)| Hello { version, agent, ticket })
}

pub(crate) fn welcome() -> impl Strategy<Value = Welcome> {
    (
        text(20),
        any::<u32>(),
        text(50),
        any::<u16>(),
        any::<u32>(),
        integer(),
        vec(text(20), 0..4),
    )
        .prop_map(
            |(server, version, store, max_header, max_block, ping_interval_ms, features)| Welcome {
                server,
                version,
                store,
                max_header: max_header.into(),
                max_block: max_block as usize,
                ping_interval_ms,
                features,
            },
        )
}

pub(crate) fn register() -> impl Strategy<Value = Register> {
    (username(), bytes64(16), kdf(), secret32(), of(secret32()), text(128)).prop_map(
        |(username, salt, kdf, auth, recovery_auth, device_name)| Register {
            username,
            salt,
            kdf,
            auth,
            recovery_auth,
            device_name,
        },
    )
}

fn method() -> impl Strategy<Value = Method> {
    select(vec![Method::Password, Method::Recovery])
}

pub(crate) fn login() -> impl Strategy<Value = Login> {
    (username(), secret32(), method(), of(device()), of(device()), of(text(128))).prop_map(
        |(username, auth, method, device, new_device, device_name)| Login {
            username,
            auth,
            method,
            device,
            new_device,
            device_name,
        },
    )
}

pub(crate) fn change_password() -> impl Strategy<Value = ChangePassword> {
    (secret32(), method(), bytes64(16), kdf(), secret32(), of(secret32()), integer()).prop_map(
        |(auth, method, new_salt, new_kdf, new_auth, new_recovery_auth, keyring_version)| ChangePassword {
            auth,
            method,
            new_salt,
            new_kdf,
            new_auth,
            new_recovery_auth,
            keyring_version,
        },
    )
}

pub(crate) fn create() -> impl Strategy<Value = Create> {
    let kind = select(vec![ConversationKind::Direct, ConversationKind::Group]);
    (log(), kind, vec(account(), 0..256)).prop_map(|(conversation, kind, members)| Create {
        conversation,
        kind,
        members,
    })
}

fn bounds() -> impl Strategy<Value = LogBounds> {
    (log(), integer(), integer()).prop_map(|(log, first_seq, last_seq)| LogBounds { log, first_seq, last_seq })
}

pub(crate) fn conversations_page() -> impl Strategy<Value = ConversationsPage> {
    (any::<bool>(), of(bounds()), of(bounds())).prop_map(|(more, inbox, archive)| ConversationsPage { more, inbox, archive })
}

pub(crate) fn append() -> impl Strategy<Value = Append> {
    (log(), entry_id(), "[a-z-]{1,32}", of(integer())).prop_map(|(log, entry, kind, epoch)| Append { log, entry, kind, epoch })
}

pub(crate) fn appended() -> impl Strategy<Value = Appended> {
    (integer(), integer(), any::<bool>()).prop_map(|(seq, at, duplicate)| Appended { seq, at, duplicate })
}

pub(crate) fn commit() -> impl Strategy<Value = Commit> {
    (log(), entry_id(), of(entry_id()), integer()).prop_map(|(conversation, entry, welcome_entry, epoch)| Commit {
        conversation,
        entry,
        welcome_entry,
        epoch,
    })
}

pub(crate) fn fetch() -> impl Strategy<Value = Fetch> {
    (log(), integer(), of(any::<u32>())).prop_map(|(log, after, limit)| Fetch { log, after, limit })
}

pub(crate) fn mark() -> impl Strategy<Value = Mark> {
    (log(), of(integer()), of(integer())).prop_map(|(conversation, delivered, read)| Mark {
        conversation,
        delivered,
        read,
    })
}

pub(crate) fn looked_up() -> impl Strategy<Value = LookedUp> {
    let device = (device(), text(40), integer(), of(bytes64(200))).prop_map(|(device, name, created_at, credential)| DeviceInfo {
        device,
        name,
        created_at,
        credential,
    });
    (account(), username(), of(bytes64(32)), vec(device, 0..16)).prop_map(|(account, username, identity, devices)| LookedUp {
        account,
        username,
        identity,
        devices,
    })
}

pub(crate) fn entry() -> impl Strategy<Value = EntryEvent> {
    let author = (of(account()), of(device()), of(integer()), of(bytes64(32)));
    (log(), integer(), integer(), "[a-z-]{1,32}", entry_id(), author).prop_map(
        |(log, seq, at, kind, entry, (from, device, epoch, block_sha256))| EntryEvent {
            log,
            seq,
            at,
            kind,
            entry,
            from,
            device,
            epoch,
            block_sha256,
        },
    )
}

pub(crate) fn behind() -> impl Strategy<Value = Behind> {
    (of(log()), of(integer())).prop_map(|(log, last_seq)| Behind { log, last_seq })
}

pub(crate) fn move_to() -> impl Strategy<Value = Move> {
    (
        move_id(),
        select(vec![MoveReason::Drain, MoveReason::Rebalance]),
        integer(),
        integer(),
    )
        .prop_map(|(id, reason, after_ms, within_ms)| Move {
            id,
            reason,
            after_ms,
            within_ms,
        })
}

pub(crate) fn load() -> impl Strategy<Value = Load> {
    (
        integer(),
        integer(),
        integer(),
        vec(secret(), 0..4),
        vec(move_id(), 0..4),
        any::<bool>(),
        integer(),
    )
        .prop_map(
            |(connections, bytes_out, bytes_in, redeemed, moving, draining, reserved_elsewhere)| Load {
                connections,
                bytes_out,
                bytes_in,
                redeemed,
                moving,
                draining,
                reserved_elsewhere,
            },
        )
}

pub(crate) fn attach() -> impl Strategy<Value = Attach> {
    // A person writes a weight: few digits. serde_json reads those exactly.
    let weight = (1u32..100_000).prop_map(|thousandths| f64::from(thousandths) / 1_000.0);
    (text(20), text(40), weight, secret(), vec(secret(), 0..4), load()).prop_map(|(server, address, weight, token, redeemed, load)| {
        Attach {
            server,
            address,
            weight,
            token,
            redeemed,
            load,
        }
    })
}

/// An object out of the keys that framing knows, and values that may not suit them.
pub(crate) fn json_object() -> impl Strategy<Value = String> {
    let key = select(vec![
        "op",
        "re",
        "event",
        "id",
        "error",
        "content-length",
        "content-type",
        "content-encoding",
        "parts",
        "x",
    ]);
    let value = prop_oneof![
        3 => integer().prop_map(|n| n.to_string()),
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => any::<f64>().prop_map(|n| serde_json::to_string(&n).unwrap()),
        2 => select(vec!["null", "true", "{}", "[]", "\"ping\"", "\"entry\"", "\"\\ud800\"", "[1,2]", "[[]]", "\"", "{", "01", "-0", "1e999"]).prop_map(str::to_owned),
        1 => vec(0u64..20, 0..5).prop_map(|parts| format!("{parts:?}")),
    ];
    vec((key, value), 0..6).prop_map(|pairs| {
        let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", pairs.join(","))
    })
}
