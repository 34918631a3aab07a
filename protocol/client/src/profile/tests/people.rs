//! Names that lead to people, and those that only claim to.

use super::world::*;
use crate::{
    profile::{contacts, take},
    record::What,
};
use fastchat_e2e::{Username, mls::Kind};

fn led_to(device: &Device, name: &str) -> Option<fastchat_e2e::AccountId> {
    let name: Username = name.parse().unwrap();
    device.profile.read(|tx| contacts::account(tx, &name)).unwrap()
}

#[test]
fn a_name_that_somebody_claims_in_a_group_does_not_lead_to_them() {
    let (alice, mallory) = (Device::new("alice"), Device::new("bob"));
    let mut log = Log::new();
    mallory.found(log.id, Kind::Direct, &[&alice]);
    log.send(&mallory);
    alice.read(&log);
    assert_eq!(led_to(&alice, "bob"), None);
    assert_eq!(alice.profile.read(contacts::unchecked).unwrap(), [(mallory.account, log.id)]);

    // The fleet knows another bob: said once, and the name is shown no more.
    for _ in 0..2 {
        alice
            .profile
            .change(|groups, tx| take::doubt(groups, tx, mallory.account, 1))
            .unwrap();
    }
    let records = alice.records();
    let alarms: Vec<_> = records.iter().filter(|record| matches!(record.what, What::Alarm)).collect();
    assert!(matches!(&alarms[..], [one] if one.alarms[0].contains("@bob")), "{records:?}");
    let title = alice.profile.room(log.id).unwrap().unwrap().title();
    assert!(!title.contains("bob"), "{title}");
    assert!(alice.profile.read(contacts::unchecked).unwrap().is_empty());
}

#[test]
fn whom_the_fleet_knows_by_that_name_is_found_by_it_and_not_asked_about_again() {
    let (alice, bob) = (Device::new("alice"), Device::new("bob"));
    let mut log = Log::new();
    bob.found(log.id, Kind::Direct, &[&alice]);
    log.send(&bob);
    alice.read(&log);
    let identity = alice.profile.read(|tx| contacts::pin(tx, bob.account)).unwrap().unwrap().identity;
    let name: Username = "bob".parse().unwrap();
    alice.profile.write(|tx| contacts::meet(tx, bob.account, &name, &identity)).unwrap();
    assert_eq!(led_to(&alice, "bob"), Some(bob.account));
    assert!(alice.profile.read(contacts::unchecked).unwrap().is_empty());
    // A second bob is an alarm at once.
    let second = Device::new("bob");
    let mut other = Log::new();
    second.found(other.id, Kind::Direct, &[&alice]);
    other.send(&second);
    alice.read(&other);
    assert!(alice.records().iter().any(|record| !record.alarms.is_empty()));
    assert_eq!(led_to(&alice, "bob"), Some(bob.account));
}
