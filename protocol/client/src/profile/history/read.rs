//! Records as people see them: with names, and with what was done about them since.

use super::{BY_NUMBER, Event, Header, RECORDS, amended, saved, split};
use crate::{
    problem::Problem,
    profile::{contacts, devices, rows},
    record::{About, Person, PersonsDevice, Reaction, Record, What},
};
use fastchat_e2e::{AccountId, Content, ConversationId, DeviceId, EntryId, content::Body, store::Reader};
use std::collections::HashMap;

/// Reads records, and each name once.
pub(super) struct People<'a> {
    tx: &'a Reader<'a>,
    me: Option<AccountId>,
    met: HashMap<AccountId, Person>,
}

impl<'a> People<'a> {
    pub(super) fn new(tx: &'a Reader<'a>, me: Option<AccountId>) -> Self {
        Self {
            tx,
            me,
            met: HashMap::new(),
        }
    }

    fn person(&mut self, account: AccountId) -> Result<Person, Problem> {
        if let Some(person) = self.met.get(&account) {
            return Ok(person.clone());
        }
        let person = contacts::person(self.tx, account)?;
        self.met.insert(account, person.clone());
        Ok(person)
    }

    fn people(&mut self, accounts: Vec<AccountId>) -> Result<Vec<Person>, Problem> {
        accounts.into_iter().map(|account| self.person(account)).collect()
    }

    fn devices(&mut self, devices: Vec<(AccountId, DeviceId)>) -> Result<Vec<PersonsDevice>, Problem> {
        let named = |(account, device)| {
            Ok(PersonsDevice {
                person: self.person(account)?,
                device,
                name: devices::name(self.tx, device)?,
            })
        };
        devices.into_iter().map(named).collect()
    }

    /// By a key of [`BY_NUMBER`].
    pub(super) fn find(&mut self, key: &[u8]) -> Result<Record, Problem> {
        let (_, arrival) = key.split_last_chunk::<8>().ok_or_else(|| rows::damaged(BY_NUMBER))?;
        self.at(u64::from_be_bytes(*arrival))
    }

    /// By its place.
    pub(super) fn at(&mut self, arrival: u64) -> Result<Record, Problem> {
        let row = self
            .tx
            .get(RECORDS, &arrival.to_be_bytes())?
            .ok_or_else(|| rows::damaged(BY_NUMBER))?;
        self.read(arrival, row.expose())
    }

    pub(super) fn read(&mut self, arrival: u64, row: &[u8]) -> Result<Record, Problem> {
        let (mut header, content) = split(row)?;
        let from = header.from.map(|(account, _)| self.person(account)).transpose()?;
        let mut record = Record {
            arrival,
            conversation: header.conversation,
            seq: header.seq,
            at_ms: header.at,
            entry: header.entry,
            own: header.own || from.as_ref().is_some_and(|from| Some(from.account) == self.me),
            from,
            device: header.from.map(|(_, device)| device),
            what: What::Alarm,
            edited: false,
            taken_back: false,
            reactions: Vec::new(),
            about: None,
            mentions: Vec::new(),
            mentions_me: false,
            vanishes_at_ms: header.vanish_at,
            alarms: std::mem::take(&mut header.alarms),
            saved: saved(self.tx, arrival)?,
        };
        record.what = match header.event.take() {
            None => {
                let entry = header.entry.ok_or_else(|| rows::damaged(RECORDS))?;
                // One that another version of this program kept in another form hides no other record.
                match Content::parse(content, entry) {
                    Ok(content) => self.message(&mut record, &header, content)?,
                    Err(error) => What::Unreadable { cause: error.to_string() },
                }
            }
            Some(Event::Unreadable(cause)) => What::Unreadable { cause },
            Some(Event::Added(accounts)) => What::Added(self.people(accounts)?),
            Some(Event::Removed(accounts)) => What::Removed(self.people(accounts)?),
            Some(Event::Left(accounts)) => What::Left(self.people(accounts)?),
            Some(Event::Promoted(accounts)) => What::Promoted(self.people(accounts)?),
            Some(Event::Demoted(accounts)) => What::Demoted(self.people(accounts)?),
            Some(Event::DevicesAdded(devices)) => What::DevicesAdded(self.devices(devices)?),
            Some(Event::DevicesRemoved(devices)) => What::DevicesRemoved(self.devices(devices)?),
            Some(Event::Alarm) => What::Alarm,
            Some(Event::Joined) => What::Joined,
            Some(Event::Out) => What::Out,
            Some(Event::Lost(first, last)) => What::Lost { first, last },
        };
        Ok(record)
    }

    /// What a message says now, with what belongs to that.
    fn message(&mut self, record: &mut Record, header: &Header, mut content: Content) -> Result<What, Problem> {
        let since = amended::since(self.tx, record.arrival, header, &content)?;
        record.taken_back = since.taken_back;
        record.reactions = self.reactions(since.reactions)?;
        if let (Body::Text(text), Some(newest)) = (&mut content.body, since.text) {
            text.body = newest;
            record.edited = true;
        }
        match &content.body {
            Body::Text(text) => {
                if let Some(answered) = text.reply_to {
                    record.about = Some(self.about(header.conversation, answered, None)?);
                }
                record.mentions_me = self.me.is_some_and(|me| text.mentions.contains(&me));
                for account in &text.mentions {
                    record.mentions.push(self.person(*account)?);
                }
            }
            Body::React(react) => record.about = Some(self.about(header.conversation, react.target, None)?),
            Body::Edit(_) | Body::Delete(_) => {
                let from = header.from.map(|(account, _)| account);
                let target = content.body.target().ok_or_else(|| rows::damaged(RECORDS))?;
                let about = self.about(header.conversation, target, from)?;
                if about.from.as_ref().is_some_and(|author| Some(author.account) != from) {
                    let seq = about.seq.unwrap_or(0);
                    let cause = format!("it was to change message {seq}, which is somebody else's: that was ignored");
                    return Ok(What::Unreadable { cause });
                }
                record.about = Some(about);
            }
            _ => {}
        }
        Ok(What::Message(content))
    }

    /// The message that another one is about, as far as this device has it.
    fn about(&mut self, conversation: ConversationId, entry: EntryId, of: Option<AccountId>) -> Result<About, Problem> {
        let Some(found) = amended::find(self.tx, conversation, entry, of)? else {
            return Ok(About {
                entry,
                seq: None,
                from: None,
                excerpt: None,
            });
        };
        let since = amended::since(self.tx, found.arrival, &found.header, &found.content)?;
        Ok(About {
            entry,
            seq: Some(found.header.seq),
            from: found.header.from.map(|(account, _)| self.person(account)).transpose()?,
            excerpt: amended::excerpt(&found, &since),
        })
    }

    /// Each kind once, with everybody whose reaction it is.
    fn reactions(&mut self, found: Vec<(AccountId, String)>) -> Result<Vec<Reaction>, Problem> {
        let mut reactions: Vec<Reaction> = Vec::new();
        for (account, emoji) in found {
            let from = self.person(account)?;
            match reactions.iter_mut().find(|reaction| reaction.emoji == emoji) {
                Some(reaction) => reaction.from.push(from),
                None => reactions.push(Reaction { emoji, from: vec![from] }),
            }
        }
        Ok(reactions)
    }
}
