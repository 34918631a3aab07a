//! Three people on three servers: texts, pictures, a group, and one who was away.

use super::{People, noise, of, person::Person, picture, said, text_of, texts};
use serde_json::Value;
use std::{collections::HashSet, fs};

/// A received file, which must be this one, under its own name in the downloads.
fn assert_received(line: &Value, by: &Person, name: &str, mime: &str, content: &[u8]) {
    let file = &line["file"];
    assert_eq!(
        (&line["type"], &file["name"], &file["mime"]),
        (&"file".into(), &name.into(), &mime.into()),
        "{line}"
    );
    assert_eq!(file["size"], content.len(), "{line}");
    let path = by.downloads().join(name);
    assert_eq!(file["path"].as_str(), path.to_str(), "{line}");
    assert_eq!(fs::read(path).expect("the received file"), content, "byte for byte");
}

#[test]
fn three_people_on_three_servers_write_send_a_picture_and_share_a_group() {
    let people = People::meet();
    let [alice, bob, carol] = people.registered(["alice", "bob", "carol"]);
    let mut terminals = Vec::new();
    for person in [&alice, &bob, &carol] {
        people.wait_until_online(terminals.len());
        terminals.push(person.start(&["listen"]));
    }
    people.wait_until_online(3);
    assert_eq!(
        people.wire.open().len(),
        3,
        "three people on three servers: {:?}",
        people.wire.open()
    );
    let [of_alice, of_bob, of_carol] = terminals.try_into().unwrap_or_else(|_| unreachable!("three terminals"));

    let sent = alice.says("@bob", "hello");
    let heard = of_bob.wait_for_text("hello");
    for key in ["conversation", "seq", "at", "from", "type", "text"] {
        assert_eq!(sent[key], heard[key], "both see the same {key}");
    }
    assert_eq!(
        (&sent["name"], &heard["name"], &heard["from"], &heard["type"]),
        (&"@bob".into(), &"@alice".into(), &"alice".into(), &"text".into())
    );
    bob.says("@carol", "Grüße, 世界 🦀");
    bob.run_with_input(&["send", "@carol"], "two\nlines\n").succeeds();
    let lines = of_carol.wait_for(2);
    assert_eq!(texts(&lines)[0], "Grüße, 世界 🦀");
    assert_eq!(
        texts(&lines)[1].trim_end(),
        "two\nlines",
        "a message that was typed keeps its lines"
    );

    let cat = picture::png(7);
    let path = people.file("cat.png", &cat);
    carol.ok(&["send", "@alice", "--file", text_of(&path)]);
    let shown = of_alice.wait_for_line("a picture", |line| line["type"] == "file");
    assert_received(&shown, &alice, "cat.png", "image/png", &cat);

    alice.ok(&["group", "create", "team", "@bob", "@carol"]);
    alice.says("#team", "hi all");
    of_bob.wait_for_text("hi all");
    of_carol.wait_for_text("hi all");
    bob.says("#team", "hi from bob");
    carol.says("#team", "hi from carol");
    for (terminal, expected) in [
        (of_alice, &["hi from bob", "hi from carol"]),
        (of_bob, &["hi all", "hi from carol"]),
        (of_carol, &["hi all", "hi from bob"]),
    ] {
        terminal.wait_for_text(expected[1]);
        assert_eq!(texts(&of(&terminal.lines(), "#team")), expected, "what the others said, in order");
    }
    let whole = ["hi all", "hi from bob", "hi from carol"];
    for person in [&alice, &bob, &carol] {
        assert_eq!(texts(&person.history("#team")), whole, "the history has one's own, too");
        assert_eq!(person.members("#team"), ["alice", "bob", "carol"]);
    }
    let groups = bob.ok(&["groups"]);
    assert_eq!(groups.iter().map(|group| &group["name"]).collect::<Vec<_>>(), ["#team"]);
}

#[test]
fn who_was_away_catches_up_with_everything_in_order() {
    let people = People::meet();
    let [alice, bob, carol] = people.registered(["alice", "bob", "carol"]);
    alice.ok(&["group", "create", "team", "@bob", "@carol"]);
    let numbered = |what: &str| (0..20).map(|n| format!("{what} {n}\n")).collect::<String>();
    for round in 0..2 {
        alice
            .run_with_input(&["send", "#team", "--lines"], &numbered(&format!("alice, round {round}")))
            .succeeds();
        bob.run_with_input(&["send", "#team", "--lines"], &numbered(&format!("bob, round {round}")))
            .succeeds();
        bob.says("@carol", &format!("are you there? {round}"));
    }
    let cat = picture::png(7);
    let path = people.file("cat.png", &cat);
    alice.ok(&["send", "#team", "see", "--file", text_of(&path)]);
    bob.says("#team", "the last word");

    // Never online since she registered: 80 and 2 messages, a text with a picture, the last word.
    let heard = carol.hears(85);
    let in_team = of(&heard, "#team");
    assert_eq!(said(&in_team), said(&bob.history("#team")), "the whole group, in its order");
    assert_eq!(in_team.len(), 83);
    assert_eq!(texts(&of(&heard, "@bob")), ["are you there? 0", "are you there? 1"]);
    let shown = in_team.iter().find(|line| line["type"] == "file").expect("the picture");
    assert_received(shown, &carol, "cat.png", "image/png", &cat);
    carol.hears_nothing_more();
    carol.says("#team", "I am back");
    // Bob's 40, his last word, and this.
    assert_eq!(texts(&alice.hears(42)).last(), Some(&"I am back"));
    let (of_alice, of_carol) = (alice.history("#team"), carol.history("#team"));
    assert_eq!(said(&of_alice), said(&of_carol), "everybody has the same");
}

#[test]
fn a_photograph_arrives_without_the_place_where_it_was_taken_unless_one_says_so() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let photograph = picture::jpeg_with_place(7);
    let path = people.file("home.jpg", &photograph);
    alice.ok(&["send", "@bob", "--file", text_of(&path)]);
    alice.ok(&["send", "@bob", "--keep-metadata", "--file", text_of(&path)]);
    let heard = bob.hears(2);

    let received: Vec<Vec<u8>> = heard
        .iter()
        .map(|line| fs::read(line["file"]["path"].as_str().expect("a path")).expect("a file"))
        .collect();
    let has_place = |file: &[u8]| file.windows(10).any(|window| window == &picture::PLACE.as_bytes()[..10]);
    assert!(has_place(&photograph) && !has_place(&received[0]), "the place stays at home");
    let pixels = |file: &[u8]| image::load_from_memory(file).expect("a picture").to_rgb8();
    assert_eq!(pixels(&received[0]), pixels(&photograph), "and not a pixel is another");
    assert_eq!(received[1], photograph, "or all of it, when one says so");
    assert_ne!(
        heard[0]["file"]["path"], heard[1]["file"]["path"],
        "a second file of that name overwrites nothing"
    );
    assert_eq!(fs::read(&path).unwrap(), photograph, "the sender's own file is as it was");
}

#[test]
fn files_of_any_kind_and_length_arrive_byte_for_byte_under_their_own_names() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let long = noise(6_000_000, 7);
    let files: [(&str, &[u8]); 4] = [
        ("empty.txt", b""),
        ("a file, mit Ümläuten.bin", b"\0\x01\xff"),
        ("one-chunk", &long[..64 << 10]),
        ("long.bin", &long),
    ];
    for (name, content) in files {
        let path = people.file(name, content);
        alice.ok(&["send", "@bob", "--file", text_of(&path)]);
    }
    let heard = bob.hears(files.len());
    for (line, (name, content)) in heard.iter().zip(files) {
        assert_eq!(line["file"]["name"], name);
        let path = line["file"]["path"].as_str().expect("a path");
        assert!(fs::read(path).expect("the received file") == content, "{name} is byte-identical");
    }

    // Fetched again from the history, to where one says.
    let seq = heard[3]["seq"].to_string();
    let copy = people.file("copy.bin", b"");
    fs::remove_file(&copy).unwrap();
    bob.ok(&["save", "@alice", &seq, "--to", text_of(&copy)]);
    assert!(fs::read(&copy).unwrap() == long);
    bob.run(&["save", "@alice", &seq, "--to", text_of(&copy)]);
    assert!(fs::read(&copy).unwrap() == long, "what stands there is not lost by a second time");
    bob.run(&["save", "@alice", "100000"]).refused();
}

#[test]
fn two_who_write_to_each_other_first_at_the_same_time_share_one_conversation() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    let (from_alice, from_bob) = (alice.start(&["send", "@bob", "ping"]), bob.start(&["send", "@alice", "pong"]));
    let lines = [from_alice.finish().succeeds(), from_bob.finish().succeeds()].concat();
    let conversations: HashSet<&str> = lines.iter().filter_map(|line| line["conversation"].as_str()).collect();
    assert_eq!(conversations.len(), 1, "{lines:?}");
    assert_eq!(texts(&alice.hears(1)), ["pong"]);
    assert_eq!(texts(&bob.hears(1)), ["ping"]);
    assert_eq!(said(&alice.history("@bob")), said(&bob.history("@alice")));
}
