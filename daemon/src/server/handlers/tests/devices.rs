//! Looking up accounts, their identity, and their devices' end.

use super::{World, code, login, run};
use crate::server::news::News;
use fastchat_wire::{
    AccountId, Code, DeviceId,
    chat::{
        create::ConversationKind,
        lookup::Lookup,
        remove_device::{DeviceChange, DeviceEvent, RemoveDevice},
        rename_device::RenameDevice,
        set_credential::SetCredential,
    },
    encoding::Bytes64,
    limits::{CREDENTIAL_BYTES_MAX, IDENTITY_BYTES_MAX, LABEL_BYTES_MAX},
};

fn by_account(account: AccountId) -> Lookup {
    Lookup {
        username: None,
        account: Some(account),
    }
}

fn credential(identity: usize, credential: usize) -> SetCredential {
    SetCredential {
        identity: Bytes64(vec![1; identity]),
        credential: Bytes64(vec![2; credential]),
    }
}

#[tokio::test]
async fn anybody_finds_an_account_by_name_or_id() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let by_name = Lookup {
        username: Some("Alice".parse().unwrap()),
        account: None,
    };
    let (found, _) = run!(lookup, world, bob, by_name).unwrap();
    assert_eq!((found.account, found.username.as_str()), (alice.identity.account, "alice"));
    assert_eq!(found.devices[0].name, "laptop");
    assert_eq!(run!(lookup, world, bob, by_account(alice.identity.account)).unwrap().0, found);
}

#[tokio::test]
async fn a_lookup_names_exactly_one_account_that_exists() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let neither = Lookup {
        username: None,
        account: None,
    };
    assert_eq!(code(run!(lookup, world, alice, neither)), Code::BadRequest);
    let both = Lookup {
        username: Some("alice".parse().unwrap()),
        account: Some(alice.identity.account),
    };
    assert_eq!(code(run!(lookup, world, alice, both)), Code::BadRequest);
    assert_eq!(code(run!(lookup, world, alice, by_account(AccountId([9; 16])))), Code::NotFound);
}

#[tokio::test]
async fn an_identity_is_set_once() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    run!(set_credential, world, alice, credential(IDENTITY_BYTES_MAX, CREDENTIAL_BYTES_MAX)).unwrap();
    assert_eq!(code(run!(set_credential, world, alice, credential(32, 100))), Code::Conflict);
    run!(set_credential, world, alice, credential(IDENTITY_BYTES_MAX, 100)).unwrap();
    let (found, _) = run!(lookup, world, alice, by_account(alice.identity.account)).unwrap();
    assert_eq!(found.identity, Some(Bytes64(vec![1; IDENTITY_BYTES_MAX])));
    assert_eq!(found.devices[0].credential, Some(Bytes64(vec![2; 100])));
}

#[tokio::test]
async fn an_identity_and_a_credential_out_of_bounds_are_refused() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    for bad in [
        credential(0, 1),
        credential(1, 0),
        credential(IDENTITY_BYTES_MAX + 1, 1),
        credential(1, CREDENTIAL_BYTES_MAX + 1),
    ] {
        assert_eq!(code(run!(set_credential, world, alice, bad)), Code::BadRequest);
    }
}

#[tokio::test]
async fn a_removed_device_is_signed_out_and_everybody_concerned_is_told() {
    let mut world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    world.register("eve").await;
    world.converse(ConversationKind::Direct, &alice, &[&bob]).await;
    let (second, logged_in, _) = world.login(&login("alice", 1)).await.unwrap();
    world.news();
    let device = second.device;
    run!(remove_device, world, alice, RemoveDevice { device }).unwrap();
    let event = DeviceEvent {
        account: alice.identity.account,
        device,
        change: DeviceChange::Removed,
    };
    let told = vec![bob.identity.account, alice.identity.account];
    assert_eq!(world.news(), [News::DeviceEnded(device), News::Device(event, told)]);
    assert_eq!(code(world.resume(&logged_in.token).await), Code::Unauthenticated);
    world.resume(&alice.token).await.unwrap();
}

#[tokio::test]
async fn somebody_elses_device_can_not_be_removed() {
    let mut world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    for device in [bob.identity.device, DeviceId([9; 16])] {
        assert_eq!(code(run!(remove_device, world, alice, RemoveDevice { device })), Code::NotFound);
    }
    assert_eq!(world.news(), []);
    world.resume(&bob.token).await.unwrap();
}

#[tokio::test]
async fn a_device_has_another_name_from_now_on() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let rename = |device, name: &str| RenameDevice {
        device,
        device_name: name.to_owned(),
    };
    let longest = "x".repeat(LABEL_BYTES_MAX);
    run!(rename_device, world, alice, rename(alice.identity.device, &longest)).unwrap();
    let (found, _) = run!(lookup, world, alice, by_account(alice.identity.account)).unwrap();
    assert_eq!(found.devices[0].name, longest);
    for bad in ["", "a\nb", &"x".repeat(LABEL_BYTES_MAX + 1)] {
        assert_eq!(
            code(run!(rename_device, world, alice, rename(alice.identity.device, bad))),
            Code::BadRequest
        );
    }
    assert_eq!(
        code(run!(rename_device, world, bob, rename(alice.identity.device, "mine"))),
        Code::NotFound
    );
}
