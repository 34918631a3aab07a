//! Many members who change a group at the same moment.

use super::{People, person::Person, said, texts};

const MEMBERS: usize = 20;

#[test]
fn twenty_members_who_all_change_the_group_at_once_end_in_one_group() {
    let people = People::meet();
    let everybody: Vec<Person> = (0..MEMBERS).map(|n| people.newcomer(&format!("member-{n:02}"))).collect();
    let registering: Vec<_> = everybody.iter().map(|person| person.start(&["register", &person.name])).collect();
    for registering in registering {
        registering.finish().succeeds();
    }
    let (first, others) = everybody.split_first().expect("twenty");
    let names: Vec<String> = others.iter().map(Person::at).collect();
    let with = |command: &[&'static str]| -> Vec<String> { command.iter().map(|part| (*part).to_owned()).chain(names.clone()).collect() };
    for arguments in [with(&["group", "create", "team"]), with(&["group", "promote", "#team"])] {
        first.ok(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let joining: Vec<_> = others.iter().map(|person| person.start(&["groups"])).collect();
    for joining in joining {
        joining.finish().succeeds();
    }

    // All of the others give up being admins, each by a commit of their own.
    let changing: Vec<_> = others
        .iter()
        .map(|person| person.start(&["group", "demote", "#team", &person.at()]))
        .collect();
    for change in changing {
        change.finish().succeeds();
    }
    let saying: Vec<_> = everybody
        .iter()
        .map(|person| person.start(&["send", "#team", &format!("here is {}", person.name)]))
        .collect();
    for saying in saying {
        saying.finish().succeeds();
    }
    let listening: Vec<_> = everybody.iter().map(|person| person.listens_for(MEMBERS - 1)).collect();
    for listening in listening {
        assert_eq!(texts(&listening.finish().succeeds()).len(), MEMBERS - 1);
    }
    let whole = first.history("#team");
    assert_eq!(whole.len(), MEMBERS);
    for person in [&others[0], &others[MEMBERS - 2]] {
        assert_eq!(said(&person.history("#team")), said(&whole), "as {} has it", person.name);
    }
    let admins = first.ok(&["group", "members", "#team"]);
    let admins: Vec<&str> = admins
        .iter()
        .filter(|member| member["admin"] == true)
        .filter_map(|member| member["username"].as_str())
        .collect();
    assert_eq!(admins, [&first.name]);
}
