//! How far others have a conversation.

use super::{three::*, world::*};
use crate::{profile::marks, record::Mark};

fn told(device: &Device, of: &Device, log: &Log, delivered: u64, read: u64) {
    let mark = Mark { delivered, read };
    device.profile.write(|tx| marks::save(tx, log.id, of.account, mark)).unwrap();
}

#[test]
fn marks_never_move_back_and_what_was_read_was_delivered() {
    let three = Three::meet();
    let of_bob = || {
        let all = three.alice.profile.marks(three.log.id).unwrap();
        let bob = all.iter().find(|(person, _)| person.account == three.bob.account);
        (bob.unwrap().1.delivered, bob.unwrap().1.read, all.len())
    };
    assert_eq!(of_bob(), (0, 0, 2), "the others, before anything was told");
    for (delivered, read, expected) in [(5, 0, (5, 0, 2)), (3, 0, (5, 0, 2)), (0, 7, (7, 7, 2)), (9, 6, (9, 7, 2))] {
        told(&three.alice, &three.bob, &three.log, delivered, read);
        assert_eq!(of_bob(), expected);
    }
    told(&three.alice, &three.alice, &three.log, 9, 9);
    told(&three.alice, &Device::new("mallory"), &three.log, 9, 9);
    assert_eq!(of_bob(), (9, 7, 2), "of nobody else, nor of oneself");
}
