//! A client dies at every place of the table. Its next start goes on, and everybody talks.

use super::{People, eventually, person::Person, running::Running, text_of, texts, unruly::Unruly};
use fastchat_client::Fault;

struct Stage<'a> {
    people: &'a People,
    alice: Person,
    bob: Person,
    carol: Person,
    mallory: Unruly<'a>,
    /// The group of all of them.
    log: String,
}

#[test]
fn a_client_that_dies_at_any_fault_point_goes_on_at_its_next_start() {
    let people = People::meet();
    let [alice, bob, carol] = people.registered(["alice", "bob", "carol"]);
    let mallory = Unruly::registered(&people, "mallory");
    alice.ok(&["group", "create", "team", "@bob", "@carol", &mallory.at()]);
    alice.ok(&["group", "promote", "#team", &mallory.at()]);
    let said = alice.says("#team", "before");
    bob.says("@alice", "before");
    let mut stage = Stage {
        people: &people,
        log: said["conversation"].as_str().expect("an id").to_owned(),
        alice,
        bob,
        carol,
        mallory,
    };
    for fault in Fault::ALL.iter().copied() {
        println!("dies at {}", fault.name());
        stage.dies_at(fault);
        stage.all_talk(fault);
    }
}

impl Stage<'_> {
    /// Kills a client there, starts it again, and looks for what was begun.
    fn dies_at(&mut self, fault: Fault) {
        let (alice, bob, name) = (&self.alice, &self.bob, fault.name());
        let device = || self.people.another_device_of(alice, &format!("alices-{name}"));
        let login = ["login", "alice", "--device-name", name];
        let devices = || {
            let listed = alice.ok(&["devices"]);
            listed.iter().filter(|line| line["name"] == name).count()
        };
        match fault {
            Fault::Sealed => {
                alice.dies_at(fault, &["send", "@bob", name]);
                alice.says("@bob", "next");
                listens(bob).wait_for_text(name);
            }
            Fault::Uploaded => {
                let file = self.people.file(name, b"content");
                let send = ["send", "@bob", "--file", text_of(&file)];
                alice.dies_at(fault, &send);
                alice.ok(&send);
                listens(bob).wait_for_line("the file", |line| line["file"]["name"] == name);
            }
            Fault::Committed => {
                alice.dies_at(fault, &["group", "remove", "#team", "@carol"]);
                eventually("carol is out", || {
                    (alice.members("#team") == ["alice", "bob", "mallory"]).then_some(())
                });
            }
            Fault::SendingAway | Fault::SentAway => {
                let device = device();
                device.ok(&login);
                alice.dies_at(fault, &["devices", "remove", name]);
                eventually("the device is gone", || (devices() == 0).then_some(()));
                device.run(&["send", "@bob", "still here?"]).refused();
            }
            Fault::SignedIn => {
                let device = device();
                device.dies_at(fault, &login);
                device.ok(&login);
                assert_eq!(devices(), 1, "the same one");
            }
            Fault::Entering | Fault::Entered => {
                let device = device();
                device.dies_at(fault, &login);
                device.says("@bob", name);
                listens(bob).wait_for_text(name);
            }
            Fault::Stranded => {
                let change = ["group", "promote", "#team", "@bob"];
                self.mallory.commits_what_opens_for_nobody(&self.log, &change);
                alice.dies_at(fault, &["listen", "--for", "30"]);
            }
            Fault::Skipped => {
                self.mallory.commits_rubbish(&self.log);
                alice.dies_at(fault, &["listen", "--for", "30"]);
            }
            Fault::PasswordChanged => {
                let mut command = self.carol.command(&["password"]);
                command.env("FASTCHAT_NEW_PASSWORD", "another good one");
                command.env("FASTCHAT_FAULT", name);
                assert_eq!(Running::start(command).finish().code, None, "it aborted");
                let phone = self.people.another_device_of(&self.carol, "carols-phone");
                phone.with_password("another good one").ok(&["login", "carol"]);
                self.carol.says("@bob", name);
                listens(bob).wait_for_text(name);
            }
            Fault::Archiving | Fault::Archived => {
                alice.dies_at(fault, &["send", "@bob", name]);
                alice.says("@bob", "next");
                let device = device();
                assert_eq!(device.ok(&login)[0]["restore"]["complete"], true);
                assert!(texts(&device.history("@bob")).contains(&name), "archived once it went on");
            }
            Fault::Restored => {
                let device = device();
                device.dies_at(fault, &login);
                assert_eq!(device.ok(&["restore"])[0]["complete"], true);
            }
        }
    }

    fn all_talk(&self, fault: Fault) {
        for (from, to) in [(&self.alice, &self.bob), (&self.bob, &self.alice)] {
            let text = format!("{} says after {}", from.name, fault.name());
            from.says("#team", &text);
            listens(to).wait_for_text(&text);
        }
    }
}

fn listens(person: &Person) -> Running {
    person.start(&["listen"])
}
