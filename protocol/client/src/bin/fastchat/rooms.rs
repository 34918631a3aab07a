//! Finding a conversation among those that the profile knows, without a server.

use fastchat_client::{
    problem::Problem,
    profile::Profile,
    record::{Recipient, Room},
};
use fastchat_e2e::ConversationId;

/// Characters of an id that stand for it where people read.
pub(crate) const SHORT_ID_CHARS: usize = 8;

/// Finds a conversation.
///
/// # Errors
/// `not-found`, or `ambiguous` where several groups answer to the name.
pub(crate) fn find<'a>(rooms: &'a [Room], to: &Recipient) -> Result<&'a Room, Problem> {
    let found = match to {
        Recipient::Person(name) => {
            let with = |room: &&Room| room.peer.as_ref().is_some_and(|peer| peer.username.as_ref() == Some(name));
            rooms.iter().filter(with).max_by_key(|room| (!room.out, room.seq))
        }
        Recipient::Group(name) => group(rooms, name.strip_prefix('#').unwrap_or(name))?,
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
            .filter(|room| !name.is_empty() && room.conversation.to_string().starts_with(name))
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

/// What people call a conversation.
pub(crate) fn title(profile: &Profile, conversation: ConversationId) -> Result<String, Problem> {
    let room = profile.room(conversation)?;
    Ok(room.map_or_else(|| format!("#{}", short(&conversation.to_string())), |room| room.title()))
}

/// The first characters of an id.
pub(crate) fn short(id: &str) -> &str {
    id.get(..SHORT_ID_CHARS).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastchat_client::record::Person;
    use fastchat_e2e::AccountId;

    fn room(id: u8, peer: Option<&str>, name: Option<&str>, out: bool) -> Room {
        Room {
            conversation: ConversationId([id; 16]),
            peer: peer.map(|name| Person {
                account: AccountId([id; 16]),
                username: Some(name.parse().unwrap()),
            }),
            name: name.map(str::to_owned),
            out,
            seq: 0,
        }
    }

    fn found(rooms: &[Room], name: &str) -> u8 {
        find(rooms, &Recipient::Group(name.to_owned())).unwrap().conversation.0[0]
    }

    fn refusal(rooms: &[Room], name: &str) -> String {
        match find(rooms, &Recipient::Group(name.to_owned())).unwrap_err() {
            Problem::Declined { code, message } => format!("{code}: {message}"),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_group_is_found_by_its_name_or_the_beginning_of_its_id() {
        let rooms = [room(1, None, Some("team"), false), room(2, None, None, false)];
        assert_eq!(found(&rooms, "team"), 1);
        assert_eq!(found(&rooms, "#team"), 1);
        assert_eq!(found(&rooms, "0202"), 2);
    }

    #[test]
    fn a_name_beats_an_id_and_being_in_beats_having_been() {
        let rooms = [
            room(0xab, None, None, false),
            room(1, None, Some("abab"), true),
            room(2, None, Some("abab"), false),
        ];
        assert_eq!(found(&rooms, "abab"), 2);
        assert_eq!(found(&rooms[..2], "abab"), 1);
        assert_eq!(found(&rooms[..1], "abab"), 0xab);
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
        assert!(refusal(&rooms, "0101").starts_with("not-found: "));
        assert!(refusal(&rooms, "").starts_with("not-found: "));
        assert!(find(&rooms, &Recipient::Person("bob".parse().unwrap())).is_ok());
        assert!(find(&rooms, &Recipient::Person("carol".parse().unwrap())).is_err());
    }
}
