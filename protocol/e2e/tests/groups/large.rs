//! A hundred members. Timings are printed with `--nocapture`; in the dev profile they are no figures.

use crate::world::*;
use fastchat_e2e::{
    groups::Payload,
    mls::{Intent, Kind},
    store::Table,
};
use std::time::Instant;

fn bytes(payload: &Payload) -> (usize, usize, usize) {
    match payload {
        Payload::Commit {
            commit,
            welcome,
            group_info,
            ..
        } => (
            commit.len(),
            welcome.as_ref().map_or(0, |(_, welcome)| welcome.len()),
            group_info.len(),
        ),
        Payload::Message { block } => (block.len(), 0, 0),
    }
}

#[test]
fn a_hundred_members_are_added_talk_and_are_removed() {
    let mut devices: Vec<_> = (0..100).map(|i| Device::new(&format!("member{i}"))).collect();
    let mut newcomer = Device::new("newcomer");
    let step = |name: &str, since: Instant| println!("{name}: {:.1} ms", since.elapsed().as_secs_f64() * 1e3);
    let since = Instant::now();
    let (chat, mut log) = conversation(Kind::Group, &mut devices);
    step("create with 99 others, and all of them join", since);
    let package = newcomer.key_package();
    let since = Instant::now();
    let made = devices[0].commit(chat, &Intent::Add(vec![invite(&newcomer, &package)])).unwrap();
    step("make a commit that adds one", since);
    println!("commit, Welcome, GroupInfo: {:?} bytes", bytes(&made.payload));
    let since = Instant::now();
    devices[0].send(&mut log);
    step("apply the own commit", since);
    let since = Instant::now();
    devices[1].sync(chat, &log);
    step("apply another's commit and open a message", since);
    let since = Instant::now();
    newcomer.sync(chat, &log);
    step("join", since);
    let said = devices[1].say(chat, &"x".repeat(200));
    println!("200-byte text: {} bytes", bytes(&said.payload).0);
    devices[1].send(&mut log);
    for device in &mut devices[2..] {
        assert_eq!(texts(&device.sync(chat, &log)).len(), 1);
    }
    let gone = devices.pop().unwrap();
    let since = Instant::now();
    devices[0].sync(chat, &log);
    let made = devices[0].commit(chat, &Intent::Remove(vec![gone.me().account])).unwrap();
    step("make a commit that removes one", since);
    println!("commit, Welcome, GroupInfo: {:?} bytes", bytes(&made.payload));
    devices[0].send(&mut log);
    for device in devices[1..].iter_mut().chain([&mut newcomer]) {
        device.sync(chat, &log);
    }
    devices[5].say(chat, "everybody?");
    devices[5].send(&mut log);
    assert_eq!(texts(&newcomer.sync(chat, &log)), ["everybody?"]);
    assert_eq!(newcomer.accounts(chat).len(), 100);
    let since = Instant::now();
    for i in 0..100 {
        devices[1].say(chat, &i.to_string());
    }
    step("seal 100 messages, a transaction each", since);
    let since = Instant::now();
    let Device { store, groups, .. } = &mut devices[1];
    let all: Result<(), fastchat_e2e::groups::Error> = store.write(|tx| {
        for i in 0..100 {
            groups.seal(tx, chat, &text(&i.to_string()))?;
        }
        Ok(())
    });
    all.unwrap();
    step("seal 100 messages, in one transaction", since);
    devices[1].send(&mut log);
    let since = Instant::now();
    assert_eq!(texts(&devices[2].sync(chat, &log)).len(), 201);
    step("receive some 200 messages, a transaction each", since);
    let size = |table| {
        let row = devices[2].store.read(|tx| tx.get(Table::new(table), chat.as_bytes())).unwrap();
        row.unwrap().expose().len()
    };
    println!("state {} bytes, tree {} bytes", size("group-state"), size("group-tree"));
}
