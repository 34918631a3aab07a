//! Many who change a group at the same moment.

use super::world::*;
use crate::{
    messenger::race,
    outbox::{Outbox, Settlement},
};
use fastchat_e2e::mls::{Intent, Kind};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

const MEMBERS: usize = 20;

/// What happens to a member next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// It reads, and makes its commit.
    Tries,
    /// Its commit reaches the server.
    Arrives,
    /// The answer reaches it.
    Hears,
}

#[test]
fn twenty_members_who_all_commit_at_once_end_in_one_group() {
    let seed = rand::random();
    let mut rng = StdRng::seed_from_u64(seed);
    let devices: Vec<Device> = (0..MEMBERS).map(|n| Device::new(&format!("member{n}"))).collect();
    let others: Vec<&Device> = devices.iter().skip(1).collect();
    let mut log = Log::new();
    devices[0].found(log.id, Kind::Group, &others);
    log.send(&devices[0]);
    let founded = log.entries.len();

    // On a clock of its own: ms, and the order in which they were drawn.
    let mut course: BinaryHeap<_> = (0..MEMBERS).map(|member| Reverse((0, member, Step::Tries))).collect();
    let mut answers: Vec<Vec<_>> = vec![Vec::new(); MEMBERS];
    let mut lost = [0_u32; MEMBERS];
    let mut now = 0;
    while let Some(Reverse((at, member, step))) = course.pop() {
        now = at;
        let device = &devices[member];
        let way = rng.random_range(1..30);
        match step {
            Step::Tries => {
                device.read(&log);
                device.commit(log.id, &Intent::Renew);
                course.push(Reverse((at + way, member, Step::Arrives)));
            }
            Step::Arrives => {
                answers[member] = log.answers(device);
                course.push(Reverse((at + way, member, Step::Hears)));
            }
            Step::Hears => {
                let settled = std::mem::take(&mut answers[member]);
                assert_eq!(settled.len(), 1, "seed {seed}: one commit, one answer");
                device.profile.settle(&settled).unwrap();
                device.read(&log);
                if matches!(settled[0].1, Settlement::Refused(_)) {
                    lost[member] += 1;
                    let pause = race::pause(lost[member], &mut rng);
                    let pause = u64::try_from(pause.as_millis()).unwrap();
                    course.push(Reverse((at + pause, member, Step::Tries)));
                }
            }
        }
    }
    assert!(now < 30_000, "seed {seed}: {:?}", Duration::from_millis(now));
    assert!(lost.iter().sum::<u32>() > 0, "seed {seed}: they did race");
    assert_eq!(log.entries.len(), founded + MEMBERS, "seed {seed}: each one's commit stands, once");

    for device in &devices {
        device.read(&log);
        device.say(log.id, &device.name);
        log.send(device);
    }
    for device in &devices {
        device.read(&log);
        assert_eq!(device.texts(log.id).len(), MEMBERS, "seed {seed}: {} reads all", device.name);
        let epoch = device.profile.look(|groups, tx| Ok(groups.mls_epoch(tx, log.id)?)).unwrap();
        assert_eq!(usize::try_from(epoch).unwrap(), 1 + MEMBERS, "seed {seed}: {}", device.name);
    }
}
