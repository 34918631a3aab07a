//! Accounts, devices, sessions, keyrings and key packages.

use super::Result;
use async_trait::async_trait;
use bytes::Bytes;
use fastchat_wire::{
    AccountId, DeviceId, Username,
    chat::{auth_params::AuthParameters, lookup::LookedUp},
};

/// SHA-256 of a session token: all that the store keeps of it.
pub(crate) type TokenDigest = [u8; 32];

/// A token is replaced after this time: ms.
pub(crate) const TOKEN_MS: u64 = 24 * 60 * 60 * 1_000;

/// Sessions of one device; each login begins one.
pub(crate) const SESSIONS_PER_DEVICE_MAX: usize = 16;

/// A session: what a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(pub(crate) [u8; 16]);

/// A new account with its first device and session. Ids come from the caller.
#[derive(Debug, Clone)]
pub(crate) struct NewAccount {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) session: SessionId,
    pub(crate) username: Username,
    pub(crate) params: AuthParameters,
    /// PHC string of the server's own Argon2id over `auth`.
    pub(crate) auth_hash: String,
    /// The same over `recovery-auth`.
    pub(crate) recovery_hash: Option<String>,
    pub(crate) device_name: String,
    pub(crate) keyring: Bytes,
    pub(crate) token: TokenDigest,
    /// ms since the Unix epoch.
    pub(crate) at: u64,
}

/// What sign-in checks and answers.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) account: AccountId,
    pub(crate) auth_hash: String,
    pub(crate) recovery_hash: Option<String>,
    pub(crate) keyring: Bytes,
    pub(crate) keyring_version: u64,
    pub(crate) locked: bool,
}

/// A session to begin, on a device of the account's or a new one.
#[derive(Debug, Clone)]
pub(crate) struct SignIn {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    /// Set: the device is new and has this name, unless the account has it by now.
    pub(crate) new_device: Option<String>,
    pub(crate) session: SessionId,
    pub(crate) token: TokenDigest,
    /// ms since the Unix epoch.
    pub(crate) at: u64,
}

/// A session that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedIn {
    /// The device is new to the account.
    pub(crate) added: bool,
    /// Sessions that ended for it: the device's oldest ones beyond [`SESSIONS_PER_DEVICE_MAX`].
    pub(crate) ended: Vec<SessionId>,
}

/// What a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resumption {
    /// A living session.
    Resumed(ResumedSession),
    /// A token that died with the use of its successor: somebody has a copy, so
    /// the session has just ended, and its connections are to end too.
    Ended(SessionId),
    /// A token of no session, or of one that ended before.
    Unknown,
}

/// A session that a token opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResumedSession {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) session: SessionId,
    /// True where the offered new token was taken: the client is to use it from now on.
    pub(crate) rotated: bool,
}

/// What a password change replaces.
#[derive(Debug, Clone)]
pub(crate) struct NewPassword {
    pub(crate) params: AuthParameters,
    pub(crate) auth_hash: String,
    /// `None` keeps the recovery code.
    pub(crate) recovery_hash: Option<String>,
    pub(crate) keyring: Bytes,
    /// The version that it replaces, else `conflict`.
    pub(crate) keyring_version: u64,
}

/// Accounts, devices, sessions, keyrings and key packages.
#[async_trait]
pub(crate) trait AccountStore {
    /// How a name's password is stretched; `None` for an unknown name.
    async fn auth_params(&self, username: &Username) -> Result<Option<AuthParameters>>;

    /// A new account, its archive, its device, the device's inbox, and a session.
    /// Denied: `name-taken`.
    async fn register(&self, new: NewAccount) -> Result<()>;

    /// What sign-in checks; `None` for an unknown name.
    async fn credentials(&self, username: &Username) -> Result<Option<Credentials>>;

    /// The same by account.
    async fn credentials_of(&self, account: AccountId) -> Result<Option<Credentials>>;

    /// Begins a session; a new device gets its inbox. Denied: `not-found` for a
    /// device that isn't the account's, `conflict` for a new one whose id is taken by
    /// something else, `quota-exceeded` for a 17th device, `locked`.
    async fn sign_in(&self, sign_in: SignIn) -> Result<SignedIn>;

    /// Finds a token's session. A session whose newest token is older than a day
    /// ([`TOKEN_MS`]) gets `fresh` beside it: the old one stays good until the
    /// first use of the new one; after that its use ends the session.
    /// Denied: `locked`.
    async fn resume(&self, token: TokenDigest, fresh: TokenDigest, at: u64) -> Result<Resumption>;

    /// Ends one session. Ending an ended one is fine.
    async fn end_session(&self, session: SessionId) -> Result<()>;

    /// Which of these sessions have ended.
    async fn ended(&self, sessions: &[SessionId]) -> Result<Vec<SessionId>>;

    /// Ends all sessions of an account.
    async fn end_sessions(&self, account: AccountId) -> Result<()>;

    /// Replaces password and keyring; answers the new keyring version.
    /// Denied: `conflict` for another version.
    async fn change_password(&self, account: AccountId, new: NewPassword) -> Result<u64>;

    /// An account by name.
    async fn lookup_username(&self, username: &Username) -> Result<Option<LookedUp>>;

    /// An account by id.
    async fn lookup_account(&self, account: AccountId) -> Result<Option<LookedUp>>;

    /// Sets the account's identity (once) and a device's credential.
    /// Denied: `conflict` for another identity.
    async fn set_credential(&self, account: AccountId, device: DeviceId, identity: &[u8], credential: &[u8]) -> Result<()>;

    /// Removes a device with its sessions, key packages and inbox.
    /// Denied: `not-found` for a device that isn't the account's.
    async fn remove_device(&self, account: AccountId, device: DeviceId) -> Result<()>;

    /// Names a device anew.
    /// Denied: `not-found` for a device that isn't the account's.
    async fn rename_device(&self, account: AccountId, device: DeviceId, name: &str) -> Result<()>;

    /// Adds key packages, or replaces the last-resort one (then exactly one is
    /// given); answers how many one-time ones are left.
    /// Denied: `quota-exceeded` beyond `limits::KEYS_PER_DEVICE_MAX`.
    async fn keys_publish(&self, device: DeviceId, packages: &[Bytes], last_resort: bool) -> Result<u64>;

    /// How many one-time key packages a device has left.
    async fn keys_count(&self, device: DeviceId) -> Result<u64>;

    /// One package for each device of the accounts and each of the devices (each
    /// device once), handed out once, oldest first; the last-resort one where no
    /// other is left; devices without any are left out. Unknown ones are left out.
    /// Denied, and nothing handed out: `quota-exceeded` where they are more than
    /// `limits::KEYS_CLAIM_PACKAGES_MAX` or their sum is over
    /// `limits::KEYS_CLAIM_BYTES_MAX`, so that an answer always fits a frame.
    async fn keys_claim(&self, accounts: &[AccountId], devices: &[DeviceId]) -> Result<Vec<(DeviceId, Bytes)>>;

    /// The accounts that share a conversation with an account, itself not among them.
    async fn contacts(&self, account: AccountId) -> Result<Vec<AccountId>>;
}
