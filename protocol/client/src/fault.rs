//! Places at which a test makes the program die, as a power cut would. What was begun there is gone on with at the next
//! start; a test walks all of them.

use std::sync::LazyLock;

/// Names the place at which to die.
const VARIABLE: &str = "FASTCHAT_FAULT";

static WANTED: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(VARIABLE).ok());

/// The table of them: each once, with what is done by then and what is not.
macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $fault:ident = $name:literal,)+) => {
        /// A place at which a test makes the program die.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault {
            $($(#[doc = $doc])+ $fault,)+
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$fault,)+];

            /// What `FASTCHAT_FAULT` calls it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$fault => $name,)+
                }
            }
        }
    };
}

faults! {
    /// A message is kept, and not sent.
    Sealed = "sealed",
    /// A file is with the fleet, and its message is not even sealed.
    Uploaded = "uploaded",
    /// A change of a conversation is kept, and not sent.
    Committed = "committed",
    /// An own device is to be sent away, and the fleet does not know of it.
    SendingAway = "sending-away",
    /// The fleet knows that an own device was sent away; that it does is not noted, and no conversation knows.
    SentAway = "sent-away",
    /// The fleet has signed in a new device; that it has is not noted.
    SignedIn = "signed-in",
    /// The commit by which this device comes in is kept, and not sent.
    Entering = "entering",
    /// That commit stands in the log; that it does is not noted.
    Entered = "entered",
    /// This device can't follow a group any more; that is noted, and nothing done about it.
    Stranded = "stranded",
    /// A commit that is no good was skipped; that is noted, and nothing done about it.
    Skipped = "skipped",
    /// The fleet has taken another password; nobody was told.
    PasswordChanged = "password-changed",
    /// There is something to archive, and it is not sealed.
    Archiving = "archiving",
    /// A batch for the archive is kept, and not sent.
    Archived = "archived",
    /// What an own device that was sent away had archived last is noted, and not archived.
    NotedLast = "noted-last",
    /// The archive was looked through, or a part of it, and nothing of it taken.
    Looking = "looking",
    /// A part of the archive was read back, and not all.
    Restored = "restored",
}

/// Dies here, without cleaning up, where `FASTCHAT_FAULT` names this place.
pub(crate) fn point(fault: Fault) {
    let name = fault.name();
    if WANTED.as_deref() == Some(name) {
        tracing::error!(name, "{VARIABLE} asks to die here");
        std::process::abort();
    }
}
