//! What a device may do to its inbox: pure.

use super::{Denied, values::LogKind};
use fastchat_wire::{DeviceId, LogId};

/// A log as it stands before it is trimmed.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Untrimmed {
    pub(in crate::store) kind: LogKind,
    pub(in crate::store) first_seq: u64,
    pub(in crate::store) last_seq: u64,
}

/// The log must be the device's own inbox. Denied: `not-member`.
pub(in crate::store) fn own(log: LogId, device: DeviceId) -> Result<(), Denied> {
    if log == LogId::inbox_of(device) {
        Ok(())
    } else {
        Err(Denied::NotMember)
    }
}

/// The first entry that stays, where one goes; never beyond what came. Denied: `not-member` where it is no inbox.
pub(in crate::store) fn trimmed(log: Untrimmed, through: u64) -> Result<Option<u64>, Denied> {
    if log.kind != LogKind::Inbox {
        return Err(Denied::NotMember);
    }
    let first_seq = through.min(log.last_seq) + 1;
    Ok((first_seq > log.first_seq).then_some(first_seq))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox() -> Untrimmed {
        Untrimmed {
            kind: LogKind::Inbox,
            first_seq: 3,
            last_seq: 7,
        }
    }

    #[test]
    fn an_inbox_is_trimmed_through_its_end_at_most_and_never_backwards() {
        for (through, first_seq) in [(0, None), (2, None), (3, Some(4)), (7, Some(8)), (8, Some(8)), (u64::MAX, Some(8))] {
            assert_eq!(trimmed(inbox(), through).unwrap(), first_seq, "{through}");
        }
    }

    #[test]
    fn only_a_device_s_own_inbox_is_trimmed() {
        let device = DeviceId([1; 16]);
        assert!(own(LogId::inbox_of(device), device).is_ok());
        assert!(matches!(own(LogId::inbox_of(device), DeviceId([2; 16])), Err(Denied::NotMember)));
        let archive = Untrimmed {
            kind: LogKind::Archive,
            ..inbox()
        };
        assert!(matches!(trimmed(archive, 5), Err(Denied::NotMember)));
    }
}
