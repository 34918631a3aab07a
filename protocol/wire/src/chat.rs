//! The chat protocol by verb: arguments, answers and events, one file each.

pub mod append;
pub mod assign;
pub mod auth_params;
pub mod behind;
pub mod blob_create;
pub mod blob_get;
pub mod blob_put;
pub mod change_password;
pub mod commit;
pub mod conversations;
pub mod create;
pub mod entry;
pub mod fetch;
pub mod grant;
pub mod group_info;
pub mod hello;
pub mod keys_claim;
pub mod keys_count;
pub mod keys_publish;
pub mod leave;
pub mod login;
pub mod logout;
pub mod lookup;
pub mod mark;
pub mod members;
pub mod move_to;
pub mod ping;
pub mod presence;
pub mod register;
pub mod remove_device;
pub mod rename_device;
pub mod resume;
pub mod set_credential;
pub mod signal;
pub mod trim;

/// The only protocol version there is.
pub const VERSION: u32 = 1;

/// Kinds of entries that only the server writes.
pub mod server_kind {
    /// An MLS commit.
    pub const COMMIT: &str = "commit";
    /// An MLS Welcome.
    pub const WELCOME: &str = "welcome";
    /// Membership or roles changed.
    pub const MEMBER: &str = "member";
    /// A notice in an inbox: a Welcome waits.
    pub const WELCOMED: &str = "welcomed";
}
