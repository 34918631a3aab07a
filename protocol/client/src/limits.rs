//! Every bound of the client's own, in one place. The protocol's are in
//! [`fastchat_wire::limits`].

use std::time::Duration;

/// Logs that one session follows; a server that names more is not believed.
pub const LOGS_MAX: usize = 65_536;
/// Events of one connection that wait to be taken; beyond, they are dropped and fetched later.
pub const EVENTS_MAX: usize = 1_024;
/// Bytes of events that wait to be taken.
pub const EVENTS_BYTES_MAX: usize = 8 << 20;
/// Entries that wait for the consumer; beyond, pushes are dropped and fetched later.
pub const READY_ENTRIES_MAX: usize = 1_024;
/// Bytes of entries that wait for the consumer. The pages of fetches that run may come on top.
pub const READY_BYTES_MAX: usize = 8 << 20;
/// Hints (marks, signals, devices, presence) that wait for the consumer; beyond, the newest are dropped.
pub const HINTS_MAX: usize = 1_024;
/// Entries of one log that wait behind a hole.
pub const HELD_ENTRIES_MAX: usize = 256;
/// Bytes of the entries of all logs that wait behind holes.
pub const HELD_BYTES_MAX: usize = 4 << 20;
/// What an entry costs in these sums beside its block.
pub const ENTRY_OVERHEAD_BYTES: usize = 512;
/// Entries that one `fetch` asks for.
pub const FETCH_PAGE: u32 = 100;
/// Bytes of one `fetch`'s answer that are kept; what follows is fetched again.
pub const FETCH_PAGE_BYTES_MAX: usize = 8 << 20;
/// Logs that are fetched at the same time.
pub const FETCHES_MAX: usize = 4;
/// Entries of one log that are sent together.
pub const BATCH_ENTRIES_MAX: usize = 64;
/// Bytes of one log's entries that are sent together (one entry at least).
pub const BATCH_BYTES_MAX: usize = 1 << 20;
/// Logs that are sent to at the same time.
pub const BATCHES_MAX: usize = 16;
/// KiB of requests of one connection that wait for their answers.
pub const IN_FLIGHT_KIB_MAX: u32 = 8_192;
/// KiB that each request counts as at least: so at most 256 are pending.
pub const REQUEST_KIB_MIN: u32 = 32;
/// The slowest line for which a request's time-out allows.
pub const SLOW_LINE_BYTES_PER_S: u64 = 16 << 10;
/// What one `blob-get` of a download asks for: at the slowest line two of them are answered in a request's time.
pub const RANGE_BYTES: u64 = 256 << 10;
/// Ranges of one download that are asked for at the same time.
pub const RANGES_MAX: usize = 2;
/// Failures in a row without a byte more that a transfer bears on one connection.
pub const TRANSFER_FAILURES_MAX: u32 = 10;
/// Frames of one connection that wait to be written.
pub const FRAMES_TO_WRITE_MAX: usize = 64;
/// Addresses of one name that are tried.
pub const ADDRESSES_MAX: usize = 8;
/// Balancers of one configuration.
pub const BALANCERS_MAX: usize = 64;
/// No peer makes a client wait longer (`wait-ms`, `retry-after-ms`, `after-ms`).
pub const WAIT_MAX: Duration = Duration::from_secs(300);
/// Shortest interval of pings that a server may ask for.
pub const PING_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Longest interval of pings that a client keeps.
pub const PING_INTERVAL_MAX: Duration = Duration::from_secs(300);
