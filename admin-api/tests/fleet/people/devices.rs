//! One profile used by several runs at once, and one person with several devices.

use super::{People, of, running::Running, said, texts};

#[test]
fn listen_and_send_of_one_profile_run_side_by_side() {
    const EACH: usize = 40;
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    bob.says("@alice", "before");
    let terminal = alice.listens_for(1 + EACH);
    let mut from_bob = bob.start(&["send", "@alice", "--lines"]);
    let mut many = alice.start(&["send", "@bob", "--lines"]);
    let mut others = Vec::new();
    for n in 0..EACH {
        from_bob.type_line(&format!("bob says {n}"));
        many.type_line(&format!("alice says {n}"));
        if n % 10 == 5 {
            others.push(alice.start(&["send", "@bob", &format!("by the way {n}")]));
        }
    }
    for run in others.into_iter().chain([many, from_bob]) {
        run.finish().succeeds();
    }
    let lines = terminal.finish().succeeds();
    let mut expected = vec!["before".to_owned()];
    expected.extend((0..EACH).map(|n| format!("bob says {n}")));
    assert_eq!(texts(&lines), expected, "bob's, and none of her own");

    let heard = bob.hears(EACH + 4);
    let (asides, row): (Vec<&str>, Vec<&str>) = texts(&heard).into_iter().partition(|text| text.starts_with("by the way"));
    assert_eq!(
        row,
        (0..EACH).map(|n| format!("alice says {n}")).collect::<Vec<_>>(),
        "one run's messages in their order"
    );
    assert_eq!(asides.len(), 4);
    let (of_alice, of_bob) = (alice.history("@bob"), bob.history("@alice"));
    assert_eq!(said(&of_alice), said(&of_bob));
    assert_eq!(of_alice.len(), 1 + 2 * EACH + 4, "each once");
}

#[test]
fn a_second_device_is_added_by_who_is_online_and_both_devices_read_on() {
    let people = People::meet();
    let [alice, bob, carol] = people.registered(["alice", "bob", "carol"]);
    let direct = alice.says("@bob", "to the laptop")["conversation"].clone();
    alice.ok(&["group", "create", "team", "@bob", "@carol"]);
    let group = alice.says("#team", "to one device of bob")["conversation"].clone();
    assert_eq!(bob.hears(2).len(), 2);

    // The laptop is off; alice is online, and her client adds the phone.
    let of_alice = alice.start(&["listen", "--all"]);
    let phone = people.another_device_of(&bob, "bobs-phone");
    let signed_in = phone.ok(&["login", "bob", "--device-name", "phone"]);
    assert_ne!(signed_in[0]["device"], bob.ok(&["whoami"])[0]["device"], "a device of its own");
    let of_phone = phone.start(&["listen", "--all"]);
    for conversation in [&direct, &group] {
        of_phone.wait_for_line("that the phone is in", |line| line["conversation"] == *conversation);
    }

    alice.says("@bob", "to both");
    carol.says("#team", "to all");
    for text in ["to both", "to all"] {
        of_phone.wait_for_text(text);
    }
    let on_laptop = bob.hears(2);
    assert_eq!(texts(&of(&on_laptop, "@alice")), ["to both"]);
    assert_eq!(texts(&of(&on_laptop, "#team")), ["to all"]);
    assert_eq!(alice.members("#team"), ["alice", "bob", "carol"], "two devices, one member");

    // Either device speaks for bob, and the other one has it.
    phone.says("@alice", "from the phone");
    bob.says("@alice", "from the laptop");
    for text in ["from the phone", "from the laptop"] {
        assert_eq!(of_alice.wait_for_text(text)["from"], "bob");
    }
    let all = ["to the laptop", "to both", "from the phone", "from the laptop"];
    assert_eq!(texts(&bob.history("@alice")), all);
    of_phone.wait_for_text("from the laptop");
    assert_eq!(
        texts(&phone.history("@alice")),
        all,
        "what was said before it came is from the archive"
    );
}

#[test]
fn who_signs_out_says_nothing_until_the_password_is_given_again() {
    let people = People::meet();
    let [alice, bob] = people.registered(["alice", "bob"]);
    alice.says("@bob", "before");
    alice.ok(&["logout"]);
    alice.run(&["send", "@bob", "signed out"]).refused();
    alice.ok(&["login", "alice"]);
    assert_eq!(alice.ok(&["whoami"])[0]["username"], "alice");
    alice.says("@bob", "after");
    assert_eq!(texts(&bob.hears(2)), ["before", "after"], "the same device, with its keys");
    assert_eq!(texts(&alice.history("@bob")), ["before", "after"]);
}

#[test]
fn who_forgot_the_password_signs_in_with_the_recovery_code() {
    let people = People::meet();
    let [bob] = people.registered(["bob"]);
    let alice = people.newcomer("alice");
    let code = alice.ok(&["register", "alice"])[0]["recovery_code"]
        .as_str()
        .expect("a code")
        .to_owned();
    let tablet = people.another_device_of(&alice, "alices-tablet").with_password("forgotten, alas");
    let sign_in = |code: &str| {
        let mut command = tablet.command(&["login", "alice", "--recovery"]);
        command.env("FASTCHAT_RECOVERY_CODE", code);
        Running::start(command).finish()
    };
    // The last group is a part of the check.
    let mistyped = if code.ends_with('0') { "1" } else { "0" };
    sign_in(&format!("{}{mistyped}", &code[..code.len() - 1])).refused();
    let lines = sign_in(&code.to_lowercase().replace('-', " ")).succeeds();
    assert_eq!(lines[0]["username"], "alice");
    tablet.says("@bob", "found the paper with the code");
    assert_eq!(texts(&bob.hears(1)), ["found the paper with the code"]);
}
