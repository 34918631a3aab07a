//! Everything on all sockets and all disks of the fleet holds nothing of what was said.

use super::{People, capture::Secrets, noise, picture, raw_device::says_in_the_clear, text_of, texts};

const TEXT: &str = "we meet at the lighthouse at 21:45, bring the \"papers\" at dawn";
const UNICODE: &str = "Das Paßwort für Zürich heißt Känguru-7731 — 鍵は机の下";
const GROUP: &str = "Fondue-Society-Basel";
const IN_GROUP: &str = "the mixture is half vacherin and half limburger, tell nobody";
const FILE: &str = "minutes-of-the-secret-meeting.png";
const CANARY: &str = "a canary that sings in the clear, so that we know that we listen";

#[test]
fn the_wire_and_the_disks_of_the_fleet_hold_nothing_of_what_was_said() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let carol = people.newcomer("carol");
    let registered = carol.ok(&["register", "carol"]);
    let code = registered[0]["recovery_code"].as_str().expect("a recovery code");
    let (cat, notes) = (picture::png(7), noise(1_200_000, 9));
    let (minutes, paper) = (people.file(FILE, &cat), people.file("notes-of-the-society.bin", &notes));
    let terminal = bob.start(&["listen"]);

    alice.says("@bob", TEXT);
    bob.says("@alice", UNICODE);
    alice.ok(&["group", "create", GROUP, "@bob", "@carol"]);
    let group = format!("#{GROUP}");
    carol.says(&group, IN_GROUP);
    alice.ok(&["send", &group, "--file", text_of(&minutes)]);
    alice.ok(&["send", "@bob", "--file", text_of(&paper)]);
    terminal.wait_for(4);
    assert_eq!(texts(&alice.hears(2)), [UNICODE, IN_GROUP]);
    carol.hears(1);
    alice.ok(&["group", "remove", &group, "@bob"]);
    says_in_the_clear(&people, "canary", CANARY);

    let secrets = Secrets::new()
        .text(TEXT)
        .text(UNICODE)
        .text(GROUP)
        .text(IN_GROUP)
        .text(FILE)
        .text("notes-of-the-society")
        .text(&alice.password)
        .text(&carol.password)
        .text(code)
        .text(&code.replace('-', ""))
        .file(&cat, "the picture")
        .file(&notes, "the notes");
    // No more is needed: one would not see a word, either.
    let secrets = ["lighthouse", "Känguru-7731", "vacherin", "limburger", "papers\" at dawn"]
        .into_iter()
        .fold(secrets, Secrets::text);
    let canary = Secrets::new().text(CANARY);

    assert!(
        !canary.found_on(&people.wire).is_empty(),
        "the tapes have what is said in the clear"
    );
    assert_eq!(secrets.found_on(&people.wire), [""; 0], "on the wire");
    assert!(!canary.found_below(people.fleet.data(), &[]).is_empty(), "so have the disks");
    assert_eq!(secrets.found_below(people.fleet.data(), &[]), [""; 0], "on the fleet's disks");
    // A profile is sealed as well: somebody who copies it without its key has ids and numbers.
    let of_people = ["alice", "bob", "carol"].map(|name| people.folder.path().join(name));
    for profile in &of_people {
        assert_eq!(secrets.found_below(profile, &["downloads"]), [""; 0], "in a profile");
    }
    assert!(
        !secrets.found_below(&bob.downloads(), &[]).is_empty(),
        "what bob received is his to read"
    );

    drop(terminal);
    let People { fleet, folder, wire, .. } = people;
    let (data, ..) = fleet.stop();
    assert!(!canary.found_below(data.path(), &[]).is_empty());
    assert_eq!(
        secrets.found_below(data.path(), &[]),
        [""; 0],
        "on the fleet's disks, after it ended"
    );
    assert_eq!(secrets.found_on(&wire), [""; 0]);
    drop(folder);
}
