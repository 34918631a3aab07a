-- Everything that the chat servers keep, but for the blobs' bytes.
--
-- Ids are UUIDs as 16-byte blobs; times are ms since the Unix epoch; numbers of
-- entries (seq) count 1, 2, 3, … within their log. Flags are 0 or 1.

-- Which store this is, and how often it was restored from a backup. One row.
CREATE TABLE store (
    only_row   INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    id         BLOB    NOT NULL CHECK (length(id) = 16),
    restores   INTEGER NOT NULL DEFAULT 0 CHECK (restores >= 0)
) STRICT;

CREATE TABLE accounts (
    id              BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    username        TEXT    NOT NULL UNIQUE,
    salt            BLOB    NOT NULL,
    kdf             TEXT    NOT NULL,           -- JSON, as in `auth-params`
    auth_hash       TEXT    NOT NULL,           -- PHC string
    recovery_hash   TEXT,                       -- PHC string
    keyring         BLOB    NOT NULL,           -- sealed by the client
    keyring_version INTEGER NOT NULL DEFAULT 1 CHECK (keyring_version >= 1),
    identity        BLOB,                       -- public key, set once
    locked          INTEGER NOT NULL DEFAULT 0 CHECK (locked IN (0, 1)),
    created_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE devices (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account_id BLOB    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name       TEXT    NOT NULL,
    credential BLOB,                            -- signed by the account's identity
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX devices_by_account ON devices (account_id, id);

CREATE TABLE sessions (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account_id BLOB    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    device_id  BLOB    NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_account ON sessions (account_id);
CREATE INDEX sessions_by_device ON sessions (device_id);

-- A session's tokens. The current one is good; an offered one becomes current
-- by its first use, and the others retired; a retired one's use ends the session.
CREATE TABLE session_tokens (
    digest     BLOB    NOT NULL PRIMARY KEY CHECK (length(digest) = 32),  -- SHA-256
    session_id BLOB    NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    state      TEXT    NOT NULL CHECK (state IN ('current', 'offered', 'retired')),
    issued_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX session_tokens_by_session ON session_tokens (session_id);

-- Handed out oldest first (by number); the last-resort one stays.
CREATE TABLE key_packages (
    number      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    device_id   BLOB    NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    last_resort INTEGER NOT NULL CHECK (last_resort IN (0, 1)),
    package     BLOB    NOT NULL
) STRICT;
CREATE INDEX key_packages_by_device ON key_packages (device_id, last_resort, number);
CREATE UNIQUE INDEX key_packages_last_resort ON key_packages (device_id) WHERE last_resort = 1;

-- The counters of every log. An append rewrites this row, so it stays small.
-- An inbox has its device's id, an archive its account's. `account_id` is whose an
-- inbox or archive is, and who created a conversation.
-- `members_seq` is the number of the last change of membership or role, `epoch`
-- counts commits, `first_seq` is the first entry that is kept.
CREATE TABLE logs (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    kind        TEXT    NOT NULL CHECK (kind IN ('direct', 'group', 'inbox', 'archive')),
    account_id  BLOB    NOT NULL REFERENCES accounts (id),
    last_seq    INTEGER NOT NULL DEFAULT 0,
    first_seq   INTEGER NOT NULL DEFAULT 1,
    members_seq INTEGER NOT NULL DEFAULT 0,
    epoch       INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    CHECK (first_seq >= 1 AND first_seq <= last_seq + 1 AND members_seq <= last_seq)
) STRICT;

-- A direct conversation is unique for its pair; `low` is the smaller account id.
CREATE TABLE direct_pairs (
    low    BLOB NOT NULL REFERENCES accounts (id),
    high   BLOB NOT NULL REFERENCES accounts (id),
    log_id BLOB NOT NULL UNIQUE REFERENCES logs (id) ON DELETE CASCADE,
    PRIMARY KEY (low, high),
    CHECK (low < high)
) STRICT;

-- Who belongs to a conversation, or did: former members keep their row with the
-- number through which they may read.
CREATE TABLE members (
    log_id      BLOB    NOT NULL REFERENCES logs (id) ON DELETE CASCADE,
    account_id  BLOB    NOT NULL REFERENCES accounts (id),
    role        TEXT    NOT NULL CHECK (role IN ('member', 'admin')),
    from_seq    INTEGER NOT NULL CHECK (from_seq >= 1),
    through_seq INTEGER CHECK (through_seq >= from_seq),
    read        INTEGER NOT NULL DEFAULT 0,
    delivered   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (log_id, account_id)
) STRICT;
CREATE INDEX members_by_account ON members (account_id, log_id);

-- The entries of all logs. A rowid table: the blocks are written once, in the
-- order of arrival, and both indexes stay small. No foreign key: an append has
-- just read the log's row under the writer lock. Whoever deletes a log deletes
-- its entries and welcomes in the same transaction. The server's own notices
-- have neither account nor device.
CREATE TABLE entries (
    log_id     BLOB    NOT NULL,
    seq        INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    entry_id   BLOB    NOT NULL,
    account_id BLOB,
    device_id  BLOB,
    epoch      INTEGER,
    block      BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX entries_by_seq ON entries (log_id, seq);
-- The entry first: its id is a UUIDv7, so the entries of all logs go to this
-- index's end instead of one page for each log.
CREATE UNIQUE INDEX entries_by_id ON entries (entry_id, device_id, log_id);

-- The devices that a `welcome` entry is for.
CREATE TABLE welcomes (
    log_id    BLOB    NOT NULL,
    seq       INTEGER NOT NULL,
    device_id BLOB    NOT NULL,
    PRIMARY KEY (log_id, seq, device_id)
) STRICT, WITHOUT ROWID;

-- The MLS GroupInfo that came with a conversation's last commit.
CREATE TABLE group_infos (
    log_id     BLOB NOT NULL PRIMARY KEY REFERENCES logs (id) ON DELETE CASCADE,
    group_info BLOB NOT NULL
) STRICT;

-- What is known of a blob; its bytes are objects, one for each chunk.
CREATE TABLE blobs (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    log_id     BLOB    NOT NULL REFERENCES logs (id),
    account_id BLOB    NOT NULL REFERENCES accounts (id),
    size       INTEGER NOT NULL CHECK (size >= 0),
    offset     INTEGER NOT NULL DEFAULT 0 CHECK (offset >= 0 AND offset <= size),
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX blobs_by_account ON blobs (account_id, created_at);

CREATE TABLE blob_chunks (
    blob_id BLOB    NOT NULL REFERENCES blobs (id) ON DELETE CASCADE,
    offset  INTEGER NOT NULL CHECK (offset >= 0),
    length  INTEGER NOT NULL CHECK (length > 0),
    PRIMARY KEY (blob_id, offset)
) STRICT, WITHOUT ROWID;
