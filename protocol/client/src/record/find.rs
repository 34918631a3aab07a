//! Finding a conversation among those that a device knows, without a server.

use super::{Recipient, Room};
use crate::problem::Problem;

/// Characters at an id's end that stand for it: ids begin with the time, their ends tell them apart.
pub const SHORT_ID_CHARS: usize = 12;
/// Fewer are not meant as an id.
pub(super) const ID_CHARS_MIN: usize = 8;

/// Finds the conversation that is meant. A name beats an id, being in beats having left.
///
/// # Errors
/// `not-found`, or `ambiguous` where several groups answer to the name.
pub fn find<'a>(rooms: &'a [Room], to: &Recipient) -> Result<&'a Room, Problem> {
    let found = match to {
        Recipient::Person(name) => {
            let with = |room: &&Room| room.peer.as_ref().is_some_and(|peer| peer.username.as_ref() == Some(name));
            rooms.iter().filter(with).max_by_key(|room| (!room.out, room.seq))
        }
        Recipient::Group(name) => group(rooms, name)?,
    };
    found.ok_or_else(|| {
        let what = match to {
            Recipient::Person(name) => {
                format!("this profile has no conversation with @{name} yet: write the first message with `fastchat send`")
            }
            Recipient::Group(name) => format!("this profile knows no group \"{name}\": `fastchat groups` lists those it is in"),
        };
        Problem::declined("not-found", what)
    })
}

fn group<'a>(rooms: &'a [Room], name: &str) -> Result<Option<&'a Room>, Problem> {
    let groups = || rooms.iter().filter(|room| room.peer.is_none());
    let named: Vec<&Room> = groups().filter(|room| room.name.as_deref() == Some(name)).collect();
    let inside: Vec<&Room> = named.iter().copied().filter(|room| !room.out).collect();
    let by_id = || {
        groups()
            .filter(|room| name.len() >= ID_CHARS_MIN && room.conversation.to_string().ends_with(name))
            .collect()
    };
    let candidates = [inside, named].into_iter().find(|rooms| !rooms.is_empty()).unwrap_or_else(by_id);
    match candidates[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => {
            let ids: Vec<String> = candidates.iter().map(|room| format!("'#{}'", room.conversation)).collect();
            let message = format!("several groups answer to \"{name}\": write one of {}", ids.join(", "));
            Err(Problem::declined("ambiguous", message))
        }
    }
}

/// The end of an id, which stands for it where people read.
#[must_use]
pub fn short(id: &str) -> &str {
    id.len().checked_sub(SHORT_ID_CHARS).and_then(|at| id.get(at..)).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Person;
    use fastchat_e2e::{AccountId, ConversationId};

    fn room(id: u8, peer: Option<&str>, name: Option<&str>, out: bool) -> Room {
        Room {
            conversation: ConversationId([id; 16]),
            peer: peer.map(|name| Person {
                account: AccountId([id; 16]),
                username: Some(name.parse().unwrap()),
            }),
            name: name.map(str::to_owned),
            picture: None,
            retention_s: 0,
            verified: false,
            stops: Vec::new(),
            out,
            seq: 0,
        }
    }

    fn found(rooms: &[Room], name: &str) -> u8 {
        find(rooms, &Recipient::Group(name.to_owned())).unwrap().conversation.0[0]
    }

    fn refusal(rooms: &[Room], name: &str) -> String {
        let problem = find(rooms, &Recipient::Group(name.to_owned())).unwrap_err();
        format!("{}: {problem}", problem.code())
    }

    #[test]
    fn a_group_is_found_by_its_name_or_the_end_of_its_id() {
        let rooms = [room(1, None, Some("team"), false), room(2, None, None, false)];
        assert_eq!(found(&rooms, "team"), 1);
        assert_eq!(found(&rooms, "020202020202"), 2);
        assert_eq!(found(&rooms, &rooms[1].conversation.to_string()), 2);
        assert!(refusal(&rooms, "0202").starts_with("not-found: "), "too short to be meant");
    }

    #[test]
    fn a_name_beats_an_id_and_being_in_beats_having_been() {
        let rooms = [
            room(0xab, None, None, false),
            room(1, None, Some("abababab"), true),
            room(2, None, Some("abababab"), false),
        ];
        assert_eq!(found(&rooms, "abababab"), 2);
        assert_eq!(found(&rooms[..2], "abababab"), 1);
        assert_eq!(found(&rooms[..1], "abababab"), 0xab);
    }

    #[test]
    fn of_two_groups_with_one_name_none_is_guessed() {
        let rooms = [room(1, None, Some("team"), false), room(2, None, Some("team"), false)];
        let refusal = refusal(&rooms, "team");
        assert!(refusal.starts_with("ambiguous: ") && refusal.contains("#02020202-"), "{refusal}");
    }

    #[test]
    fn a_direct_chat_is_never_taken_for_a_group() {
        let rooms = [room(1, Some("bob"), None, false)];
        assert!(refusal(&rooms, "01010101").starts_with("not-found: "));
        assert!(refusal(&rooms, "").starts_with("not-found: "));
        assert!(find(&rooms, &Recipient::Person("bob".parse().unwrap())).is_ok());
        assert!(find(&rooms, &Recipient::Person("carol".parse().unwrap())).is_err());
    }
}
