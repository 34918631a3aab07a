//! The same ids in two crates that know nothing of each other: what crosses the wire, and what is sealed.

use fastchat_e2e as e2e;
use fastchat_wire as wire;

/// To the sealed side.
pub(crate) trait Seal {
    /// Its name there.
    type Sealed;
    /// The same id there.
    fn sealed(self) -> Self::Sealed;
}

/// To the wire's side.
pub(crate) trait Expose {
    /// Its name there.
    type Wire;
    /// The same id there.
    fn wire(self) -> Self::Wire;
}

macro_rules! twins {
    ($($wire:ident = $e2e:ident,)*) => {$(
        impl Seal for wire::$wire {
            type Sealed = e2e::$e2e;
            fn sealed(self) -> e2e::$e2e {
                e2e::$e2e(self.0)
            }
        }

        impl Expose for e2e::$e2e {
            type Wire = wire::$wire;
            fn wire(self) -> wire::$wire {
                wire::$wire(self.0)
            }
        }
    )*};
}

twins! {
    AccountId = AccountId,
    DeviceId = DeviceId,
    LogId = ConversationId,
    EntryId = EntryId,
    BlobId = BlobId,
}

/// A new id in the order of time (UUIDv7).
pub(crate) fn new_entry() -> e2e::EntryId {
    e2e::EntryId(uuid::Uuid::now_v7().into_bytes())
}
