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

/// Something in the archive that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its number in the archive.
    pub seq: u64,
    /// Why: a half sentence about "it".
    pub cause: String,
}

impl Receipt {
    /// True where nothing is missing, refused or contradicted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.heads_differ.is_empty() && self.missing.is_empty() && self.refused.is_empty() && self.unlisted == 0
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
        let unlisted = (self.unlisted > 0).then(|| format!("and {} more of these", grouped(self.unlisted)));
        differ.chain(missing).chain(refused).chain(unlisted).collect()
    }

    pub(crate) fn refuse(&mut self, seq: u64, cause: impl Into<String>) {
        let cause = cause.into();
        list(&mut self.refused, &mut self.unlisted, Refused { seq, cause });
    }

    pub(crate) fn miss(&mut self, missing: Missing) {
        list(&mut self.missing, &mut self.unlisted, missing);
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
    fn numbers_are_grouped_by_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
