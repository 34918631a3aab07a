//! Key packages, as they cross the wire.

use super::{Person, World, code, run};
use fastchat_wire::{
    AccountId, Block, Code, DeviceId, Frame,
    chat::{
        keys_claim::{KeysClaim, KeysClaimLists},
        keys_count::KeysCount,
        keys_publish::KeysPublish,
    },
    limits::{KEY_PACKAGE_BYTES_MAX, KEYS_CLAIM_MAX, KEYS_PUBLISH_MAX},
};

const ONE_TIME: KeysPublish = KeysPublish { last_resort: false };
const LAST_RESORT: KeysPublish = KeysPublish { last_resort: true };

fn lists(accounts: &[AccountId], devices: &[DeviceId]) -> Block {
    Block::json(&KeysClaimLists {
        accounts: accounts.to_vec(),
        devices: devices.to_vec(),
    })
}

/// Devices and packages out of an answer.
fn claimed(frame: &Frame) -> Vec<(DeviceId, Vec<u8>)> {
    let mut pieces = frame.pieces().into_iter();
    let devices: Vec<DeviceId> = serde_json::from_slice(&pieces.next().unwrap()).unwrap();
    let packages: Vec<Vec<u8>> = pieces.map(Vec::from).collect();
    assert_eq!(devices.len(), packages.len());
    devices.into_iter().zip(packages).collect()
}

async fn claim(world: &World, person: &Person, accounts: &[AccountId]) -> Vec<(DeviceId, Vec<u8>)> {
    claimed(&run!(keys_claim, world, person, KeysClaim {}, lists(accounts, &[])).unwrap().1)
}

#[tokio::test]
async fn packages_are_handed_out_once_and_the_last_resort_one_again_and_again() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let (published, _) = run!(keys_publish, world, alice, ONE_TIME, Block::pieces(&["one", "two"])).unwrap();
    assert_eq!(published.available, 2);
    run!(keys_publish, world, alice, LAST_RESORT, Block::binary("last")).unwrap();
    for expected in ["one", "two", "last", "last"] {
        let claimed = claim(&world, &bob, &[alice.identity.account]).await;
        assert_eq!(claimed, [(alice.identity.device, expected.as_bytes().to_vec())]);
    }
    assert_eq!(run!(keys_count, world, alice, KeysCount {}).unwrap().0.available, 0);
}

#[tokio::test]
async fn who_has_no_packages_is_left_out_of_a_claim() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    assert_eq!(claim(&world, &alice, &[bob.identity.account, AccountId([9; 16])]).await, []);
    assert_eq!(claim(&world, &alice, &[]).await, []);
}

#[tokio::test]
async fn two_claims_at_once_never_get_the_same_package() {
    let world = World::new().await;
    let (alice, bob) = (world.register("alice").await, world.register("bob").await);
    let packages: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    run!(keys_publish, world, alice, ONE_TIME, Block::pieces(&packages)).unwrap();
    let account = [alice.identity.account];
    let claims = futures::future::join_all((0..25).map(|_| claim(&world, &bob, &account))).await;
    let mut handed_out: Vec<String> = claims.into_iter().flatten().map(|(_, p)| String::from_utf8(p).unwrap()).collect();
    handed_out.sort_by_key(|n| n.parse::<u32>().unwrap());
    assert_eq!(handed_out, packages);
}

#[tokio::test]
async fn what_is_published_is_bounded() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    let none: [&str; 0] = [];
    for bad in [
        Block::none(),
        Block::pieces(&none),
        Block::pieces(&["one", ""]),
        Block::binary(vec![1; KEY_PACKAGE_BYTES_MAX + 1]),
        Block::pieces(&vec!["x"; KEYS_PUBLISH_MAX + 1]),
    ] {
        assert_eq!(code(run!(keys_publish, world, alice, ONE_TIME, bad)), Code::BadRequest);
    }
    assert_eq!(
        code(run!(keys_publish, world, alice, LAST_RESORT, Block::pieces(&["one", "two"]))),
        Code::BadRequest
    );
    let full = Block::pieces(&vec!["x"; 250]);
    for _ in 0..4 {
        run!(keys_publish, world, alice, ONE_TIME, full).unwrap();
    }
    assert_eq!(
        code(run!(keys_publish, world, alice, ONE_TIME, Block::binary("x"))),
        Code::QuotaExceeded
    );
}

#[tokio::test]
async fn what_is_claimed_is_bounded() {
    let world = World::new().await;
    let alice = world.register("alice").await;
    for bad in [
        lists(&[AccountId([1; 16]); KEYS_CLAIM_MAX + 1], &[]),
        lists(&[], &[DeviceId([1; 16]); KEYS_CLAIM_MAX + 1]),
        Block::none(),
        Block::binary("no JSON"),
    ] {
        assert_eq!(code(run!(keys_claim, world, alice, KeysClaim {}, bad)), Code::BadRequest);
    }
    run!(
        keys_claim,
        world,
        alice,
        KeysClaim {},
        lists(&[AccountId([1; 16]); KEYS_CLAIM_MAX], &[])
    )
    .unwrap();
}
