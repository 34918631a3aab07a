//! Clients die at every place of the table. Each next start goes on with what was begun.

use super::{People, eventually, person::Person, running::Running, text_of, texts, unruly::Unruly};
use fastchat_client::Fault;

/// Who has died where.
#[derive(Default)]
struct Deaths(Vec<Fault>);

impl Deaths {
    #[track_caller]
    fn at(&mut self, fault: Fault, person: &Person, arguments: &[&str]) {
        person.dies_at(fault, arguments);
        self.0.push(fault);
    }
}

fn listens(person: &Person) -> Running {
    person.start(&["listen"])
}

#[test]
fn clients_that_die_at_all_fault_points_go_on_at_their_next_starts() {
    const LISTEN: [&str; 3] = ["listen", "--for", "30"];
    let people = People::meet();
    let [alice, bob, carol] = people.registered(["alice", "bob", "carol"]);
    let mut mallory = Unruly::registered(&people, "mallory");
    alice.ok(&["group", "create", "team", "@bob", "@carol", &mallory.at()]);
    alice.ok(&["group", "promote", "#team", &mallory.at()]);
    let log = alice.says("#team", "before")["conversation"].as_str().expect("an id").to_owned();
    let mut deaths = Deaths::default();

    // Messages, files, batches of the archive, and the removal of a member.
    let file = people.file("file.txt", b"content");
    let with_file = ["send", "@bob", "--file", text_of(&file)];
    deaths.at(Fault::Sealed, &alice, &["send", "@bob", "one"]);
    // What one run leaves to be archived is the next one's first work.
    deaths.at(Fault::Archiving, &alice, &LISTEN);
    deaths.at(Fault::Archived, &alice, &LISTEN);
    deaths.at(Fault::Uploaded, &alice, &with_file);
    alice.ok(&with_file);
    deaths.at(Fault::Committed, &alice, &["group", "remove", "#team", "@carol"]);
    alice.says("@bob", "two");
    let heard = bob.hears(4);
    assert_eq!(texts(&heard), ["before", "one", "two"]);
    assert!(heard.iter().any(|line| line["file"]["name"] == "file.txt"), "{heard:?}");
    eventually("carol is out", || {
        (alice.members("#team") == ["alice", "bob", "mallory"]).then_some(())
    });

    // A device's whole life.
    let tablet = people.another_device_of(&alice, "alices-tablet");
    let login = ["login", "alice", "--device-name", "tablet"];
    let tablets = || alice.ok(&["devices"]).iter().filter(|line| line["name"] == "tablet").count();
    deaths.at(Fault::SignedIn, &tablet, &login);
    deaths.at(Fault::Looking, &tablet, &login);
    deaths.at(Fault::Restored, &tablet, &["restore"]);
    deaths.at(Fault::Entering, &tablet, &LISTEN);
    deaths.at(Fault::Entered, &tablet, &LISTEN);
    assert_eq!(tablets(), 1, "the same one");
    assert_eq!(tablet.ok(&["restore"])[0]["complete"], true);
    tablet.says("@bob", "three");
    assert_eq!(texts(&tablet.history("@bob")), ["one", "two", "three"]);
    listens(&bob).wait_for_text("three");
    deaths.at(Fault::SendingAway, &alice, &["devices", "remove", "tablet"]);
    deaths.at(Fault::SentAway, &alice, &LISTEN);
    deaths.at(Fault::NotedLast, &alice, &LISTEN);
    eventually("the device is gone", || (tablets() == 0).then_some(()));
    tablet.run(&["send", "@bob", "still here?"]).refused();

    // Commits that are no good.
    mallory.commits_rubbish(&log);
    deaths.at(Fault::Skipped, &alice, &LISTEN);
    mallory.commits_what_opens_for_nobody(&log, &["group", "promote", "#team", "@bob"]);
    deaths.at(Fault::Stranded, &alice, &LISTEN);
    // Bob comes in again after her.
    alice.ok(&["groups"]);
    bob.ok(&["groups"]);
    for (from, to) in [(&alice, &bob), (&bob, &alice)] {
        let text = format!("{} goes on", from.name);
        from.says("#team", &text);
        listens(to).wait_for_text(&text);
    }

    // A password.
    let mut command = carol.command(&["password"]);
    command.env("FASTCHAT_NEW_PASSWORD", "another good one");
    command.env("FASTCHAT_FAULT", Fault::PasswordChanged.name());
    assert_eq!(Running::start(command).finish().code, None, "it aborted");
    deaths.0.push(Fault::PasswordChanged);
    let phone = people.another_device_of(&carol, "carols-phone");
    phone.with_password("another good one").ok(&["login", "carol"]);

    let forgotten: Vec<&Fault> = Fault::ALL.iter().filter(|fault| !deaths.0.contains(fault)).collect();
    assert!(forgotten.is_empty(), "nobody has died at {forgotten:?}");
}
