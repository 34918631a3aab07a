//! A sealed batch of the archive.

use crate::{Drawn, compare, counting, hex};
use fastchat_e2e::{
    AccountId, ConversationId, Credential, DeviceId, DeviceKey, EntryId, IdentityKey,
    archive::{Batch, FIRST_PREV, Opener, Pin, Record, Room, seal_batch},
    secret::{BackupSeed, SigningSeed},
};
use serde_json::{json, value::RawValue};

#[test]
fn a_batch_has_the_known_seal() {
    let (identity, device): ([u8; 32], [u8; 32]) = (counting(0x10), counting(0x30));
    let (backup, ephemeral): ([u8; 32], [u8; 32]) = (counting(0x50), counting(0x70));
    let (account, device_id) = (AccountId(counting(0x90)), DeviceId(counting(0xa0)));
    let identity_key = IdentityKey::from_seed(&SigningSeed::new(identity));
    let key = DeviceKey::from_seed(&SigningSeed::new(device));
    let name = "alice".parse().unwrap();
    let credential = Credential::issue(&identity_key, account, name, device_id, key.public(), 1_700_000_000_000);
    let text = r#"{"v":1,"type":"text","id":"01020304-0506-0708-090a-0b0c0d0e0f10","at":1700000000000,"body":"hello \"you\""}"#;
    let content = RawValue::from_string(text.to_owned()).unwrap();
    let conversation = ConversationId(counting(0xb0));
    let batch = Batch {
        device: device_id,
        credential: credential.as_bytes().to_vec(),
        n: 1,
        prev: FIRST_PREV,
        messages: 1,
        records: vec![Record {
            conversation,
            seq: 4,
            entry: EntryId(counting(1)),
            from: account,
            device: device_id,
            at: 1_700_000_000_123,
            content: &content,
            head: Some(counting(0xc0)),
        }],
        rooms: vec![Room {
            conversation,
            peer: None,
            name: Some("team".into()),
            archive: Some(true),
            retention_s: None,
            out: false,
            admins: vec![account],
            seq: 4,
            head: Some(counting(0xc0)),
            epoch: 2,
            mls_epoch: 1,
        }],
        pins: vec![Pin {
            account,
            username: "alice".into(),
            identity: identity_key.public().0,
            verified: false,
        }],
        gone: Vec::new(),
        placed: None,
    };
    let seed = BackupSeed::new(backup);
    let block = seal_batch(account, &key, &seed.public(), &batch, &mut Drawn::new(&[&ephemeral])).unwrap();
    let public = seed.public();
    let opened = Opener::new(account, identity_key.public(), [(1, seed)]).open(&block).unwrap();
    assert_eq!(opened.batch().unwrap().records[0].content.get(), text);
    compare(
        "archive.json",
        &json!({
            "account": account,
            "device-seed": hex(device),
            "backup-seed": hex(backup),
            "backup-public": hex(public.as_bytes()),
            "ephemeral-seed": hex(ephemeral),
            "json": serde_json::to_string(&batch).unwrap(),
            "block": hex(&block),
            "next-prev": hex(opened.hash),
        }),
    );
}
