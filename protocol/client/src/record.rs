//! What happened in a conversation, as this device keeps it.

mod find;
mod mentions;
mod named;
mod retention;
mod whom;

pub use find::{SHORT_ID_CHARS, find, short};
pub(crate) use mentions::mentions;
pub use named::Named;
pub use retention::{RETENTION_S_MAX, duration, retention};
pub use whom::Whom;

use crate::{problem::Problem, trust::Distrust};
use fastchat_e2e::{AccountId, Content, ConversationId, DeviceId, EntryId, Username, content::File};
use std::{path::PathBuf, str::FromStr};

/// Largest picture of a group, in bytes.
pub const PICTURE_BYTES_MAX: u64 = 4 << 20;
/// Longest name of a group, in bytes.
pub const GROUP_NAME_BYTES_MAX: usize = 128;
/// Kinds of reactions that a message has at most: those that came first.
pub const REACTIONS_MAX: usize = 64;
/// Longest excerpt of a message, in characters.
pub const EXCERPT_CHARS_MAX: usize = 60;

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The account.
    pub account: AccountId,
    /// Its name, where this device has met it.
    pub username: Option<Username>,
}

/// One of somebody's devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonsDevice {
    /// Whose.
    pub person: Person,
    /// Which.
    pub device: DeviceId,
    /// What its owner calls it, by the fleet's word, once this device has asked.
    pub name: Option<String>,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its place in the order of arrival on this device, from 1.
    pub arrival: u64,
    /// Where.
    pub conversation: ConversationId,
    /// Its number in the log; of a note of this device's own: of the entry before it.
    pub seq: u64,
    /// When: ms since 1970, by the server's clock.
    pub at_ms: u64,
    /// Its entry's id; none for a note of this device's own.
    pub entry: Option<EntryId>,
    /// Who did it, by the seal; where it doesn't open, whom the server names.
    pub from: Option<Person>,
    /// Which of their devices.
    pub device: Option<DeviceId>,
    /// By this device's own account.
    pub own: bool,
    /// What. Of a text the newest one; nothing of what was taken back.
    pub what: What,
    /// Its author has corrected it.
    pub edited: bool,
    /// Its author has taken it back: nobody is to read it any more.
    pub taken_back: bool,
    /// What others, and its author, think of it: of each account the newest reaction. At most [`REACTIONS_MAX`] kinds.
    pub reactions: Vec<Reaction>,
    /// The message that this one answers, corrects, takes back or reacts to.
    pub about: Option<About>,
    /// Whom it names.
    pub mentions: Vec<Person>,
    /// It names this device's own account.
    pub mentions_me: bool,
    /// When it disappears: ms since 1970. None where it stays.
    pub vanishes_at_ms: Option<u64>,
    /// What the user must see: sentences.
    pub alarms: Vec<String>,
    /// Where a message's file was saved.
    pub saved: Option<PathBuf>,
}

/// A reaction to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// One character as people see it.
    pub emoji: String,
    /// Whose it is, the first ones first.
    pub from: Vec<Person>,
}

/// A message that another one is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its entry.
    pub entry: EntryId,
    /// Its number in the log; none where this device does not have it.
    pub seq: Option<u64>,
    /// Who said it, where this device has it.
    pub from: Option<Person>,
    /// Its first words, at most [`EXCERPT_CHARS_MAX`] characters, or the name of its file; none where it was taken back.
    pub excerpt: Option<String>,
}

/// How far an account has a conversation, by the server's word: numbers in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// On one of its devices.
    pub delivered: u64,
    /// Shown to its person, where their client tells that.
    pub read: u64,
}

/// What happened.
#[expect(clippy::large_enum_variant, reason = "nearly all records are messages")]
#[derive(Debug, Clone)]
pub enum What {
    /// Somebody said something.
    Message(Content),
    /// An entry that does not open, or is not what it should be.
    Unreadable {
        /// Why, and what to do.
        cause: String,
    },
    /// Members came.
    Added(Vec<Person>),
    /// Members were removed.
    Removed(Vec<Person>),
    /// Members left.
    Left(Vec<Person>),
    /// Members became admins.
    Promoted(Vec<Person>),
    /// Admins became plain members.
    Demoted(Vec<Person>),
    /// Members have new devices, which read here from now on.
    DevicesAdded(Vec<PersonsDevice>),
    /// Members have sent devices away, which read nothing that follows.
    DevicesRemoved(Vec<PersonsDevice>),
    /// Something is wrong with the conversation: see [`Record::alarms`].
    Alarm,
    /// This device joined.
    Joined,
    /// This account is out: removed, or it left. Nothing further can be read or sent.
    Out,
    /// Entries that can't be had any more.
    Lost {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Its id.
    pub conversation: ConversationId,
    /// With whom, for a direct chat.
    pub peer: Option<Person>,
    /// A group's name, once an admin has said it.
    pub name: Option<String>,
    /// A group's picture, once an admin has set one.
    pub picture: Option<File>,
    /// Seconds after which messages disappear here; 0 where they stay.
    pub retention_s: u64,
    /// The other account of a direct chat was verified: a person has compared the safety number.
    pub verified: bool,
    /// Why nothing is sent here; empty where all is well.
    pub stops: Vec<Distrust>,
    /// This account is in no longer.
    pub out: bool,
    /// The last entry that was taken.
    pub seq: u64,
}

impl Room {
    /// `@bob`, `#team`, or the first characters of the id of what has no name.
    #[must_use]
    pub fn title(&self) -> String {
        match (&self.peer, &self.name) {
            (Some(Person { username: Some(name), .. }), _) => format!("@{name}"),
            (Some(peer), _) => format!("@{}", short(&peer.account.to_string())),
            (None, Some(name)) => format!("#{name}"),
            (None, None) => format!("#{}", short(&self.conversation.to_string())),
        }
    }
}

/// To whom: `@user`, or `#group` by its name or the end of its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// A direct chat.
    Person(Username),
    /// A group.
    Group(String),
}

impl FromStr for Recipient {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match (text.strip_prefix('@'), text.strip_prefix('#')) {
            (Some(name), _) => Ok(Self::Person(bare_username(name)?)),
            (None, Some(name)) => Ok(Self::Group(bare_group_name(name)?)),
            (None, None) => Err(Problem::Usage(format!(
                "\"{}\" names nobody: write @NAME for a person, '#NAME' for a group",
                text.escape_debug()
            ))),
        }
    }
}

/// A person's name as typed, with or without the `@`.
///
/// # Errors
/// [`Problem::Usage`].
pub fn username(text: &str) -> Result<Username, Problem> {
    bare_username(text.strip_prefix('@').unwrap_or(text))
}

fn bare_username(name: &str) -> Result<Username, Problem> {
    let parsed = name.to_ascii_lowercase().parse();
    parsed.map_err(|error| Problem::Usage(format!("\"{}\" is no name: {error}", name.escape_debug())))
}

/// A group's name as typed, with or without the `#`.
///
/// # Errors
/// [`Problem::Usage`].
pub fn group_name(text: &str) -> Result<String, Problem> {
    bare_group_name(text.strip_prefix('#').unwrap_or(text))
}

fn bare_group_name(name: &str) -> Result<String, Problem> {
    if is_group_name(name) {
        return Ok(name.to_owned());
    }
    Err(Problem::Usage(format!(
        "\"{}\" is no name for a group: 1 to {GROUP_NAME_BYTES_MAX} bytes, without control characters, not beginning or ending with a space",
        name.escape_debug()
    )))
}

/// Whether a group may be called so; others' names, too, are held to it.
pub(crate) fn is_group_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= GROUP_NAME_BYTES_MAX && name.trim() == name && !name.chars().any(char::is_control)
}

/// Whether a group may have this picture; others' pictures, too, are held to it.
pub(crate) fn is_picture(file: &File) -> bool {
    file.mime.starts_with("image/") && file.size <= PICTURE_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_people_with_an_at_and_groups_with_a_hash() {
        assert_eq!("@Bob".parse::<Recipient>().unwrap(), Recipient::Person("bob".parse().unwrap()));
        assert_eq!("#the team".parse::<Recipient>().unwrap(), Recipient::Group("the team".into()));
        for bad in [
            "bob",
            "",
            "@",
            "@b b",
            "@@bob",
            "#",
            "# team",
            "#a\nb",
            &format!("#{}", "x".repeat(GROUP_NAME_BYTES_MAX + 1)),
        ] {
            assert_eq!(bad.parse::<Recipient>().unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }

    #[test]
    fn a_group_without_a_name_is_called_by_the_end_of_its_id() {
        let mut room = Room {
            conversation: ConversationId([0xab; 16]),
            peer: None,
            name: None,
            picture: None,
            retention_s: 0,
            verified: false,
            stops: Vec::new(),
            out: false,
            seq: 0,
        };
        assert_eq!(room.title(), "#abababababab");
        room.name = Some("team".into());
        assert_eq!(room.title(), "#team");
    }
}
