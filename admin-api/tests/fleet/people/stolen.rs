//! A device that was stolen, and removed: whoever has its folder signs with its key for good, and the server helps.

use super::{People, liar::lie, person::Person, raw_device::RawDevice, running::Running, said, texts};
use bytes::Bytes;
use fastchat_client::Fault;
use fastchat_e2e::{
    BackupPublicKey, Content, Credential, DeviceKey, EntryId, Store, StoreError,
    archive::{Batch, Record, seal_batch},
    content::Body,
    secret::SigningSeed,
    store::{Reader, Scan, Table},
};
use serde_json::Value;

/// What a thief reads in the folder.
struct Stolen {
    credential: Credential,
    key: DeviceKey,
    backup: BackupPublicKey,
    /// How many batches the device has archived, and SHA-256 of the last block.
    n: u64,
    last: [u8; 32],
}

impl Stolen {
    fn open(device: &Person) -> Self {
        let only = |tx: &Reader<'_>, table: &'static str| {
            let row = tx.list(Table::new(table), Scan::newest(&[], 1))?.pop();
            Ok::<_, StoreError>(row.expect("a device that is in use").1.expose().to_vec())
        };
        let store = Store::open(&device.profile).expect("its key stands beside it");
        let read = store.read(|tx| {
            let chain: Value = serde_json::from_slice(&only(tx, "archive-chain")?).expect("JSON");
            let seed = only(tx, "device-key")?.try_into().expect("32 bytes");
            Ok::<_, StoreError>(Self {
                credential: Credential::verify(&only(tx, "credential")?).expect("its own"),
                key: DeviceKey::from_seed(&SigningSeed::new(seed)),
                backup: BackupPublicKey(only(tx, "backup")?.try_into().expect("32 bytes")),
                n: chain["n"].as_u64().expect("a count"),
                last: serde_json::from_value(chain["prev"].clone()).expect("32 bytes"),
            })
        });
        read.expect("the store")
    }

    /// A batch as the device would write it, in which its owner says what they never said.
    fn batch(&self, n: u64, prev: [u8; 32], conversation: &Value, text: &str) -> Vec<u8> {
        let me = self.credential.subject();
        let entry = EntryId(rand::random());
        let content = Content {
            id: entry,
            at_ms: 1,
            body: Body::text(text),
        };
        let json = String::from_utf8(content.encode().expect("a text").expose().to_vec()).expect("JSON");
        let content = serde_json::value::RawValue::from_string(json).expect("JSON");
        let conversation = conversation.as_str().expect("an id").parse().expect("an id");
        let record = |seq| Record {
            conversation,
            seq,
            entry,
            from: me.account,
            device: me.device,
            at: 1,
            content: &content,
            head: None,
        };
        let batch = Batch {
            device: me.device,
            credential: self.credential.as_bytes().to_vec(),
            n,
            prev,
            messages: 1_000,
            records: vec![record(1_000)],
            rooms: Vec::new(),
            pins: Vec::new(),
            gone: Vec::new(),
            placed: None,
        };
        seal_batch(me.account, &self.key, &self.backup, &batch, &mut rand::rng()).expect("as any device")
    }
}

#[test]
fn what_is_archived_in_the_name_of_a_device_that_was_removed_is_ignored_and_told_and_the_rest_comes_back() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let conversation = alice.says("@bob", "from the laptop")["conversation"].clone();
    bob.hears(1);
    let tablet = people.another_device_of(&alice, "alices-tablet");
    tablet.ok(&["login", "alice", "--device-name", "tablet"]);
    tablet.says("@bob", "from the tablet");
    bob.hears(1);
    // Whatever she dies of meanwhile.
    alice.dies_at(Fault::SentAway, &["devices", "remove", "tablet"]);
    alice.dies_at(Fault::NotedLast, &["listen", "--for", "30"]);
    bob.says("@alice", "glad that you have noticed");
    alice.hears(1);
    let told = alice.history("@bob");
    assert_eq!(texts(&told), ["from the laptop", "from the tablet", "glad that you have noticed"]);
    // It was honest until then.
    let watch = people.another_device_of(&alice, "alices-watch");
    assert_eq!(watch.ok(&["login", "alice"])[0]["restore"]["complete"], true);
    assert_eq!(said(&watch.history("@bob")), said(&told));

    let stolen = Stolen::open(&tablet);
    let ids = alice.ok(&["whoami"]);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let forged = stolen.batch(stolen.n + 1, stolen.last, &conversation, "send my money to mallory");
    RawDevice::of(&people, &alice, &text(&ids[0]["device"])).archives(&text(&ids[0]["account"]), &forged);
    let phone = people.another_device_of(&alice, "alices-phone");
    let receipt = phone.run(&["login", "alice"]).exits(5).lines()[0]["restore"].clone();
    let device = stolen.credential.subject().device.to_string();
    assert_eq!(receipt["complete"], false, "{receipt}");
    assert_eq!(
        (&receipt["ignored"][0]["device"], &receipt["ignored"][0]["batches"]),
        (&device.as_str().into(), &1.into())
    );
    assert_eq!((&receipt["restored"], &receipt["messages"]), (&3.into(), &3.into()), "{receipt}");
    assert_eq!(said(&phone.history("@bob")), said(&told));

    // In the place of what it had archived: the server shows that nowhere any more.
    let instead = Bytes::from(stolen.batch(stolen.n, [0; 32], &conversation, "send my money to mallory"));
    let gone = device.clone();
    let liar = people.lied_to(lie(move |mut told| {
        if told.is_entry() && told.header["kind"] == "record" && told.header["device"] == gone.as_str() {
            told.pieces = vec![instead.clone()];
        }
        vec![told]
    }));
    let desktop = people.another_device_of(&alice, "alices-desktop").with_balancer(liar.balancer());
    let shown = desktop.command_for_people(&["login", "alice"]);
    let finished = Running::start(shown).finish();
    let sentences: Vec<&str> = finished
        .stdout
        .iter()
        .map(String::as_str)
        .filter(|line| line.contains(&device))
        .collect();
    assert!(
        sentences
            .iter()
            .any(|line| line.starts_with("ignored: ") && line.contains("Don't trust this server")),
        "{finished}"
    );
    assert!(
        sentences.iter().any(|line| line.starts_with("missing: the last batch")),
        "{finished}"
    );
    assert!(!texts(&desktop.history("@bob")).contains(&"send my money to mallory"));
}
