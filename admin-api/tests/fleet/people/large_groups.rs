//! A group of hundreds: founded from a file of names, written to, come into, made smaller from stdin.

use super::{super::client::Client, People, of, texts};
use bytes::Bytes;
use fastchat_e2e::{
    AccountId, Credential, DeviceId, DeviceKey, IdentityKey,
    mls::{Engine, key_packages::generate},
};
use fastchat_wire::{
    Block,
    chat::{keys_publish::KeysPublish, set_credential::SetCredential},
    encoding::Bytes64,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// Members beside the two who look.
const GUESTS: usize = 198;
/// Of these at a time.
const LANES: usize = 8;

/// Accounts with a device that can be added and never looks. No password is stretched for them; what they publish is
/// what others check.
fn guests(people: &People) -> Vec<String> {
    let names: Vec<String> = (0..GUESTS).map(|n| format!("guest{n}")).collect();
    let mut lanes = tokio::task::JoinSet::new();
    people.runtime.block_on(async {
        for lane in names.chunks(GUESTS.div_ceil(LANES)) {
            let servers = &people.fleet.line.servers;
            let (address, lane) = (servers[lanes.len() % servers.len()].address.clone(), lane.to_vec());
            lanes.spawn(async move {
                for name in lane {
                    publish(&address, &name).await;
                }
            });
        }
        lanes.join_all().await;
    });
    names
}

async fn publish(server: &str, name: &str) {
    let (mut client, registered) = Client::registered(server, name).await;
    let (identity, key) = (IdentityKey::random(&mut rand::rng()), DeviceKey::random(&mut rand::rng()));
    let (account, device) = (AccountId(registered.account.0), DeviceId(registered.device.0));
    let credential = Credential::issue(&identity, account, name.parse().expect("a username"), device, key.public(), 1);
    let engine = Engine::new(&credential, &key).expect("its own key");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let package = generate(&engine, true, now).expect("a key package").public;
    let credentials = SetCredential {
        identity: Bytes64(identity.public().as_bytes().to_vec()),
        credential: Bytes64(credential.as_bytes().to_vec()),
    };
    client.ask(&credentials).await.expect("a credential");
    let publish = KeysPublish { last_resort: true };
    client
        .call(&publish, &Block::pieces(&[Bytes::from(package)]))
        .await
        .expect("a key package is taken");
}

#[test]
fn a_group_of_two_hundred_is_founded_from_a_file_and_a_device_comes_into_it_by_itself() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let guests = guests(&people);
    let file = people.file("names.txt", format!("@bob\n{}\n", guests.join("\n")).as_bytes());
    let file = file.to_str().expect("a path in UTF-8");

    let created = alice.ok(&["group", "create", "crowd", "--members-from", file]);
    assert_eq!(created[0]["accounts"].as_array().map(Vec::len), Some(GUESTS + 1), "{created:?}");
    alice.says("#crowd", "hello, all of you");
    let heard = bob.hears(1);
    assert_eq!(texts(&of(&heard, "#crowd")), ["hello, all of you"]);
    assert_eq!(bob.ok(&["group", "members", "#crowd"]).len(), GUESTS + 2);

    let tablet = people.another_device_of(&bob, "bobs-tablet");
    let signed_in = tablet.ok(&["login", "bob", "--device-name", "tablet"]);
    assert_eq!(signed_in[0]["conversations"], 1, "{signed_in:?}");
    let id = heard[0]["conversation"].as_str().expect("an id");
    let by_id = format!("#{}", &id[id.len() - 12..]);
    tablet.says(&by_id, "from the tablet");
    assert_eq!(texts(&alice.hears(1)), ["from the tablet"]);

    let gone = guests[..GUESTS / 2].join(" ");
    let removed = alice.run_with_input(&["group", "remove", "#crowd", "--members-from", "-"], &gone);
    assert_eq!(removed.succeeds()[0]["type"], "removed");
    assert_eq!(alice.ok(&["group", "members", "#crowd"]).len(), GUESTS / 2 + 2);
    alice.says("#crowd", "hello, half of you");
    assert_eq!(texts(&bob.hears(1)), ["hello, half of you"]);
    alice.run(&["group", "add", "#crowd"]).exits(2);
}
