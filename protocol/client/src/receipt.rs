//! What came of restoring the account's archive: what there was, what is missing and why.

use fastchat_e2e::{ConversationId, DeviceId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Troubles of each kind that a receipt names; further ones are counted.
pub const TROUBLES_MAX: usize = 64;

/// What came of a restore.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Messages that came from the archive; those of it that were here already are not counted.
    pub restored: u64,
    /// Messages that the archive is known to have had: a hole in a device's batches is counted by those around it.
    pub messages: u64,
    /// Batches that were taken.
    pub batches: u64,
    /// Heads of conversations' logs that were compared: between devices, and with what the server shows now.
    pub heads_compared: u64,
    /// Where they differ.
    pub heads_differ: Vec<Differs>,
    /// Batches that should be there and are not.
    pub missing: Vec<Missing>,
    /// Batches that were not taken because their device had been sent away.
    #[serde(default)]
    pub ignored: Vec<Ignored>,
    /// Batches stand in the archive under other numbers than their devices were told.
    #[serde(default)]
    pub moved: Option<Moved>,
    /// Entries of the archive that were not taken, and identities that were not believed.
    pub refused: Vec<Refused>,
    /// Troubles beyond [`TROUBLES_MAX`] of a kind.
    pub unlisted: u64,
}

/// The server showed one of the account's devices another log than another one, or than it shows now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differs {
    /// Of which conversation.
    pub conversation: ConversationId,
    /// At which number.
    pub seq: u64,
}

/// Batches of one device that are not in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Whose.
    pub device: DeviceId,
    /// The first of them.
    pub first: u64,
    /// The last of them.
    pub last: u64,
    /// Messages in them; other devices may have archived the same.
    pub messages: u64,
}

/// What the archive has in the name of a device that was sent away, and what is not known to be its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    /// Which.
    pub device: DeviceId,
    /// Batches that do not lead to the last one that it had written by then.
    pub batches: u64,
    /// Messages in them.
    pub messages: u64,
    /// Those of them that were taken before the server showed that it was sent away.
    pub taken: u64,
    /// The last one that it had written is not in the archive.
    pub lacks_last: bool,
}

/// The first batch that stands elsewhere than its device was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Where it stands.
    pub seq: u64,
    /// Where it stood.
    pub was: u64,
}

/// Something in the archive that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its number in the archive.
    pub seq: u64,
    /// Why: a half sentence about "it".
    pub cause: String,
}

impl Ignored {
    /// A sentence for each thing that is wrong.
    fn troubles(&self) -> impl Iterator<Item = String> {
        let Self { device, taken, .. } = self;
        let ignored = (self.batches > *taken).then(|| {
            format!(
                "ignored: {} in the name of device {device} (up to {} messages), which your account had sent away: the last batch that it wrote \
                 by then does not lead there, so whoever has its keys may have made it up. Don't trust this server before its operator explains",
                batches(self.batches - taken),
                grouped(self.messages)
            )
        });
        let taken = (*taken > 0).then(|| {
            format!(
                "WARNING: {} in the name of device {device} came back before the server showed that your account had sent it away: what is in \
                 there may be made up. Sign in in a new profile, and don't trust this server before its operator explains",
                batches(*taken)
            )
        });
        let missing = self.lacks_last.then(|| {
            format!("missing: the last batch of device {device}, which your account has sent away: the server does not have it, and nothing before it can be told from what is made up")
        });
        ignored.into_iter().chain(taken).chain(missing)
    }
}

fn batches(count: u64) -> String {
    match count {
        1 => "1 batch".to_owned(),
        count => format!("{} batches", grouped(count)),
    }
}

impl Receipt {
    /// True where nothing is missing, refused or contradicted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let is_wrong = !self.heads_differ.is_empty() || !self.ignored.is_empty() || self.moved.is_some();
        !is_wrong && self.missing.is_empty() && self.refused.is_empty() && self.unlisted == 0
    }

    /// What is missing and why, what is wrong, and what to do: a sentence each.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let missing = self.missing.iter().map(|missing| {
            let batches = match missing.first == missing.last {
                true => format!("batch {}", missing.first),
                false => format!("batches {} to {}", missing.first, missing.last),
            };
            format!(
                "missing: {} of device {} (up to {} messages): the server does not have it; a device that does may still show them",
                batches,
                missing.device,
                grouped(missing.messages)
            )
        });
        let refused = self
            .refused
            .iter()
            .map(|refused| format!("refused: entry {} of the archive: {}", refused.seq, refused.cause));
        let differ = self.heads_differ.iter().map(|differs| {
            format!(
                "WARNING: at number {} of conversation {} the server showed your devices different histories. Messages may be missing, \
                 changed or reordered: don't trust it until its operator explains",
                differs.seq, differs.conversation
            )
        });
        let moved = self.moved.map(|moved| {
            format!(
                "WARNING: what was entry {} of the archive is entry {} now: the server has taken entries away or put some in. History may be \
                 missing: don't trust it until its operator explains",
                moved.was, moved.seq
            )
        });
        let ignored = self.ignored.iter().flat_map(Ignored::troubles);
        let unlisted = (self.unlisted > 0).then(|| format!("and {} more of these", grouped(self.unlisted)));
        differ
            .chain(moved)
            .chain(ignored)
            .chain(missing)
            .chain(refused)
            .chain(unlisted)
            .collect()
    }

    /// Batches that were ignored because their device had been sent away.
    #[must_use]
    pub fn ignored_batches(&self) -> u64 {
        self.ignored.iter().map(|ignored| ignored.batches).sum()
    }

    pub(crate) fn refuse(&mut self, seq: u64, cause: impl Into<String>) {
        let cause = cause.into();
        list(&mut self.refused, &mut self.unlisted, Refused { seq, cause });
    }

    pub(crate) fn miss(&mut self, missing: Missing) {
        list(&mut self.missing, &mut self.unlisted, missing);
    }

    /// Of what was taken it is said anew, with all that is known by now, whether it was to be ignored.
    pub(crate) fn reconsider_ignored(&mut self) {
        for ignored in &mut self.ignored {
            ignored.batches -= ignored.taken;
            (ignored.taken, ignored.lacks_last) = (0, false);
        }
        self.ignored.retain(|ignored| ignored.batches > 0);
    }

    pub(crate) fn ignore(&mut self, device: DeviceId, messages: u64, taken: bool) {
        let Some(ignored) = self.of_gone(device) else { return };
        ignored.batches += 1;
        ignored.taken += u64::from(taken);
        if !taken {
            ignored.messages += messages;
        }
    }

    pub(crate) fn lack_the_last(&mut self, device: DeviceId) {
        if let Some(ignored) = self.of_gone(device) {
            ignored.lacks_last = true;
        }
    }

    fn of_gone(&mut self, device: DeviceId) -> Option<&mut Ignored> {
        if let Some(at) = self.ignored.iter().position(|ignored| ignored.device == device) {
            return self.ignored.get_mut(at);
        }
        if self.ignored.len() >= TROUBLES_MAX {
            self.unlisted += 1;
            return None;
        }
        self.ignored.push(Ignored {
            device,
            batches: 0,
            messages: 0,
            taken: 0,
            lacks_last: false,
        });
        self.ignored.last_mut()
    }

    pub(crate) fn moves(&mut self, seq: u64, was: u64) {
        if self.moved.is_none_or(|moved| was < moved.was) {
            self.moved = Some(Moved { seq, was });
        }
    }

    pub(crate) fn differ(&mut self, conversation: ConversationId, seq: u64) {
        let differs = Differs { conversation, seq };
        if !self.heads_differ.contains(&differs) {
            list(&mut self.heads_differ, &mut self.unlisted, differs);
        }
    }
}

fn list<T>(listed: &mut Vec<T>, unlisted: &mut u64, one: T) {
    if listed.len() < TROUBLES_MAX {
        listed.push(one);
    } else {
        *unlisted += 1;
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.messages, self.batches) {
            (0, 1..) if self.is_complete() => f.write_str("nothing was missing: what the archive has was here already")?,
            _ => write!(f, "restored {} of {} messages", grouped(self.restored), grouped(self.messages))?,
        }
        match (self.heads_differ.is_empty(), self.heads_compared) {
            (false, _) => f.write_str("; heads DIFFER"),
            (true, 0) => Ok(()),
            (true, _) => f.write_str("; heads match"),
        }?;
        match self.ignored_batches() {
            0 => Ok(()),
            count => write!(f, "; {} ignored", batches(count)),
        }
    }
}

/// 18204 as 18,204.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_without_trouble_is_one_line() {
        let receipt = Receipt {
            restored: 18_204,
            messages: 18_204,
            heads_compared: 3,
            ..Receipt::default()
        };
        assert_eq!(receipt.to_string(), "restored 18,204 of 18,204 messages; heads match");
        assert!(receipt.is_complete() && receipt.troubles().is_empty());
        assert_eq!(Receipt::default().to_string(), "restored 0 of 0 messages");
        let again = Receipt {
            batches: 12,
            heads_compared: 2,
            ..Receipt::default()
        };
        assert_eq!(
            again.to_string(),
            "nothing was missing: what the archive has was here already; heads match"
        );
    }

    #[test]
    fn each_trouble_is_named_up_to_a_bound_and_one_past_it_is_counted() {
        let mut receipt = Receipt::default();
        for seq in 0..=TROUBLES_MAX as u64 {
            receipt.refuse(seq, "it is cut off");
        }
        assert_eq!((receipt.refused.len(), receipt.unlisted), (TROUBLES_MAX, 1));
        assert_eq!(receipt.troubles().last().unwrap(), "and 1 more of these");
        assert!(!receipt.is_complete());
    }

    #[test]
    fn what_was_ignored_is_counted_in_the_first_line_and_told_with_its_cause() {
        let mut receipt = Receipt::default();
        let device = DeviceId([1; 16]);
        receipt.ignore(device, 2, false);
        assert_eq!(receipt.to_string(), "restored 0 of 0 messages; 1 batch ignored");
        receipt.ignore(device, 1, false);
        assert_eq!(receipt.to_string(), "restored 0 of 0 messages; 2 batches ignored");
        let told = receipt.troubles();
        assert!(
            matches!(&told[..], [one] if one.starts_with("ignored: 2 batches") && one.contains("(up to 3 messages)")),
            "{told:?}"
        );
        // Judged anew, what was taken is not counted twice.
        receipt.ignore(device, 1, true);
        receipt.lack_the_last(device);
        receipt.reconsider_ignored();
        assert_eq!((receipt.ignored_batches(), receipt.troubles().len()), (2, 1));
        receipt.ignore(device, 1, true);
        receipt.lack_the_last(device);
        let told = receipt.troubles();
        assert!(
            told[1].starts_with("WARNING: 1 batch") && told[2].starts_with("missing: the last batch"),
            "{told:?}"
        );
        assert!(!receipt.is_complete());
        for n in 0..TROUBLES_MAX as u8 {
            receipt.ignore(DeviceId([100 + n; 16]), 1, false);
        }
        assert_eq!((receipt.ignored.len(), receipt.unlisted), (TROUBLES_MAX, 1));
    }

    #[test]
    fn of_what_stands_elsewhere_the_first_is_told() {
        let mut receipt = Receipt::default();
        receipt.moves(8, 9);
        receipt.moves(2, 3);
        receipt.moves(5, 6);
        assert_eq!(receipt.moved, Some(Moved { seq: 2, was: 3 }));
        assert!(!receipt.is_complete() && receipt.troubles()[0].contains("what was entry 3 of the archive is entry 2 now"));
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
