//! Every maximum of the protocol (PROTOCOL.md), in one place.
//!
//! Bytes unless the name says otherwise. A server may be configured below some
//! of them, never above.

/// Smallest header: `{}`.
pub const HEADER_BYTES_MIN: usize = 2;
/// Largest header.
pub const HEADER_BYTES_MAX: usize = 16_384;
/// Largest header before sign-in.
pub const HEADER_BYTES_MAX_UNAUTHENTICATED: usize = 4_096;
/// Largest block (default of `max-block`).
pub const BLOCK_BYTES_MAX: usize = 4 << 20;
/// Largest block before sign-in.
pub const BLOCK_BYTES_MAX_UNAUTHENTICATED: usize = 64 << 10;
/// A frame completes within this time of its first byte.
pub const FRAME_MS_MAX: u64 = 30_000;
/// Sum of the partial blocks that a server holds (default).
pub const PARTIAL_BLOCKS_BYTES_MAX: usize = 256 << 20;
/// A connection that has not signed in is closed after this time, or up to a quarter later.
pub const SIGN_IN_MS_MAX: u64 = 10_000;
/// Default of `ping-interval-ms`; two of them silent and the connection is closed.
pub const PING_INTERVAL_MS: u64 = 30_000;
/// After `bad-frame` or `too-large` input is discarded for at most this long.
pub const DISCARD_MS_MAX: u64 = 1_000;
/// Largest request id, sequence number and time: what a JSON number holds exactly.
pub const INTEGER_MAX: u64 = 1 << 53;

/// Longest `message` of an error; a longer one is cut, so that it always fits into a header.
pub const ERROR_MESSAGE_BYTES_MAX: usize = 512;

/// Longest username, in characters (all ASCII).
pub const USERNAME_CHARS_MAX: usize = 32;
/// Longest `agent` and `device-name`.
pub const LABEL_BYTES_MAX: usize = 128;
/// Longest `hint` of `assign`.
pub const HINT_BYTES_MAX: usize = 64;
/// Longest `kind` of an entry.
pub const KIND_BYTES_MAX: usize = 32;
/// Length of `salt`.
pub const SALT_BYTES: usize = 16;
/// Largest sealed keyring (smallest is 1 byte).
pub const KEYRING_BYTES_MAX: usize = 64 << 10;
/// Devices of one account.
pub const DEVICES_PER_ACCOUNT_MAX: usize = 16;
/// Other members that a `create` may name.
pub const CREATE_MEMBERS_MAX: usize = 256;
/// Accounts that one `commit` may add and remove, and devices that it may welcome:
/// the `member` entry that tells of them fits a block.
pub const COMMIT_ACCOUNTS_MAX: usize = 10_000;
/// Accounts or devices that one `keys-claim` may name.
pub const KEYS_CLAIM_MAX: usize = 256;
/// Key packages that one `keys-publish` may carry.
pub const KEYS_PUBLISH_MAX: usize = 256;
/// Unclaimed one-time key packages that a device may have.
pub const KEYS_PER_DEVICE_MAX: usize = 1_000;
/// Largest MLS KeyPackage.
pub const KEY_PACKAGE_BYTES_MAX: usize = 16 << 10;
/// Packages that one `keys-claim` hands out: their lengths stand in one header.
pub const KEYS_CLAIM_PACKAGES_MAX: usize = 1_024;
/// Their sum: with the list of their devices it fits a block.
pub const KEYS_CLAIM_BYTES_MAX: usize = BLOCK_BYTES_MAX - (64 << 10);
/// Largest public identity key.
pub const IDENTITY_BYTES_MAX: usize = 64;
/// Largest device credential: those of all devices stand in one header (`lookup`).
pub const CREDENTIAL_BYTES_MAX: usize = 448;
/// Largest page of `fetch`, `conversations` and `members`.
pub const PAGE_MAX: u32 = 500;
/// Page of `fetch` where no limit is given.
pub const FETCH_LIMIT_DEFAULT: u32 = 100;
/// A server may end a `fetch` early once its blocks have this many bytes.
pub const FETCH_BYTES_MAX: usize = 1 << 20;
/// Largest block of a `signal`.
pub const SIGNAL_BYTES_MAX: usize = 4 << 10;
/// Accounts whose presence one account is told of.
pub const PRESENCE_ACCOUNTS_MAX: usize = 500;
/// An account that is gone for so long is offline.
pub const PRESENCE_GONE_MS: u64 = 3_000;
/// In larger conversations marks are not pushed.
pub const MARK_EVENT_MEMBERS_MAX: usize = 32;
/// Largest block of one `blob-put` (announced as `chunk`) and of one answer to `blob-get`: what a transfer costs a
/// server's memory is a few of them, however long the file.
pub const BLOB_CHUNK_BYTES_MAX: usize = 128 << 10;
/// Pieces in which one blob may be put: each is an object of its own.
pub const BLOB_CHUNKS_MAX: usize = 4_096;
/// Largest blob (default): a file of 64 MiB as E2E.md seals it (a prefix, and a tag for each 64 KiB).
pub const BLOB_BYTES_MAX: u64 = (64 << 20) + 7 + 16 * 1_024;
/// Blob bytes that one account announces in a day (default).
pub const BLOB_BYTES_PER_DAY_MAX: u64 = 1 << 30;
/// Blob bytes of one account that are kept (default).
pub const BLOB_BYTES_PER_ACCOUNT_MAX: u64 = 16 << 30;
/// Blobs of one account that are announced and not whole (default).
pub const BLOB_UPLOADS_PER_ACCOUNT_MAX: u64 = 64;
/// A blob that is not whole goes so long after its last piece (default).
pub const BLOB_UPLOAD_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// The first answer that must not miss pushes waits at most this long for peers.
pub const PRESENCE_WAIT_MS_MAX: u64 = 500;
/// Silence after which a server–balancer link is dead.
pub const LINK_SILENCE_MS_MAX: u64 = 2_000;
/// A `load` event follows at least this often.
pub const LOAD_INTERVAL_MS: u64 = 500;
/// A `load` event follows a change within this time.
pub const LOAD_DELAY_MS_MAX: u64 = 50;
/// Life of a ticket after its `wait-ms` (default).
pub const TICKET_MS: u64 = 10_000;
