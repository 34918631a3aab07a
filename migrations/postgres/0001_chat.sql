-- Everything that the chat servers keep, but for the blobs' bytes.
--
-- Ids are UUIDs as 16 bytes; times are ms since the Unix epoch; numbers of
-- entries (seq) count 1, 2, 3, … within their log. Nothing here draws a number
-- or a random value of its own, and what is hot is keyed by its log, so that the
-- tables can be distributed by log id.

-- Which store this is, and how often it was restored from a backup. One row.
CREATE TABLE store (
    only_row   bigint NOT NULL PRIMARY KEY CHECK (only_row = 1),
    id         bytea  NOT NULL CHECK (octet_length(id) = 16),
    restores   bigint NOT NULL DEFAULT 0 CHECK (restores >= 0)
);

CREATE TABLE accounts (
    id              bytea   NOT NULL PRIMARY KEY CHECK (octet_length(id) = 16),
    username        text    COLLATE "C" NOT NULL UNIQUE,
    salt            bytea   NOT NULL,
    kdf             text    NOT NULL,           -- JSON, as in `auth-params`
    auth_hash       text    NOT NULL,           -- PHC string
    recovery_hash   text,                       -- PHC string
    keyring         bytea   NOT NULL,           -- sealed by the client
    keyring_version bigint  NOT NULL DEFAULT 1 CHECK (keyring_version >= 1),
    identity        bytea,                      -- public key, set once
    locked          boolean NOT NULL DEFAULT false,
    created_at      bigint  NOT NULL
);

CREATE TABLE devices (
    id         bytea  NOT NULL PRIMARY KEY CHECK (octet_length(id) = 16),
    account_id bytea  NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name       text   NOT NULL,
    credential bytea,                           -- signed by the account's identity
    created_at bigint NOT NULL
);
CREATE INDEX devices_by_account ON devices (account_id, id);

CREATE TABLE sessions (
    id         bytea  NOT NULL PRIMARY KEY CHECK (octet_length(id) = 16),
    account_id bytea  NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    device_id  bytea  NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    created_at bigint NOT NULL
);
CREATE INDEX sessions_by_account ON sessions (account_id);
CREATE INDEX sessions_by_device ON sessions (device_id);

-- A session's tokens. The current one is good; an offered one becomes current
-- by its first use, and the others retired; a retired one's use ends the session.
CREATE TABLE session_tokens (
    digest     bytea  NOT NULL PRIMARY KEY CHECK (octet_length(digest) = 32),  -- SHA-256
    session_id bytea  NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    state      text   NOT NULL CHECK (state IN ('current', 'offered', 'retired')),
    issued_at  bigint NOT NULL
);
CREATE INDEX session_tokens_by_session ON session_tokens (session_id);

-- Handed out oldest first (by number, which counts within the device); the
-- last-resort one stays.
CREATE TABLE key_packages (
    device_id   bytea   NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    number      bigint  NOT NULL CHECK (number >= 1),
    last_resort boolean NOT NULL,
    package     bytea   NOT NULL,
    PRIMARY KEY (device_id, number)
);
CREATE INDEX key_packages_by_device ON key_packages (device_id, last_resort, number);
CREATE UNIQUE INDEX key_packages_last_resort ON key_packages (device_id) WHERE last_resort;

-- The counters of every log. An append rewrites this row, so it stays small and
-- its page keeps room for the next version of it.
-- An inbox has its device's id, an archive its account's. `account_id` is whose an
-- inbox or archive is, and who created a conversation.
-- `members_seq` is the number of the last change of membership or role, `epoch`
-- counts commits, `first_seq` is the first entry that is kept.
CREATE TABLE logs (
    id          bytea  NOT NULL PRIMARY KEY CHECK (octet_length(id) = 16),
    kind        text   NOT NULL CHECK (kind IN ('direct', 'group', 'inbox', 'archive')),
    account_id  bytea  NOT NULL REFERENCES accounts (id),
    last_seq    bigint NOT NULL DEFAULT 0,
    first_seq   bigint NOT NULL DEFAULT 1,
    members_seq bigint NOT NULL DEFAULT 0,
    epoch       bigint NOT NULL DEFAULT 0,
    created_at  bigint NOT NULL,
    CHECK (first_seq >= 1 AND first_seq <= last_seq + 1 AND members_seq <= last_seq)
) WITH (fillfactor = 50);

-- A direct conversation is unique for its pair; `low` is the smaller account id.
CREATE TABLE direct_pairs (
    low    bytea NOT NULL REFERENCES accounts (id),
    high   bytea NOT NULL REFERENCES accounts (id),
    log_id bytea NOT NULL UNIQUE REFERENCES logs (id) ON DELETE CASCADE,
    PRIMARY KEY (low, high),
    CHECK (low < high)
);

-- Who belongs to a conversation, or did: former members keep their row with the
-- number through which they may read.
CREATE TABLE members (
    log_id      bytea  NOT NULL REFERENCES logs (id) ON DELETE CASCADE,
    account_id  bytea  NOT NULL REFERENCES accounts (id),
    role        text   NOT NULL CHECK (role IN ('member', 'admin')),
    from_seq    bigint NOT NULL CHECK (from_seq >= 1),
    through_seq bigint CHECK (through_seq >= from_seq),
    read        bigint NOT NULL DEFAULT 0,
    delivered   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (log_id, account_id)
) WITH (fillfactor = 50);
CREATE INDEX members_by_account ON members (account_id, log_id);

-- The entries of all logs. No foreign key: an append holds the lock of the log's
-- row. Whoever deletes a log deletes its entries and welcomes in the same
-- transaction. The server's own notices have neither account nor device.
CREATE TABLE entries (
    log_id     bytea  NOT NULL,
    seq        bigint NOT NULL,
    at         bigint NOT NULL,
    kind       text   NOT NULL,
    entry_id   bytea  NOT NULL,
    account_id bytea,
    device_id  bytea,
    epoch      bigint,
    block      bytea  NOT NULL,
    PRIMARY KEY (log_id, seq)
) PARTITION BY HASH (log_id);
-- Sealed blocks don't compress: don't try.
ALTER TABLE entries ALTER COLUMN block SET STORAGE EXTERNAL;
-- The entry first: its id is a UUIDv7, so the entries of all logs go to this
-- index's end instead of one page for each log.
CREATE UNIQUE INDEX entries_by_id ON entries (entry_id, device_id, log_id);
DO $$
BEGIN
    FOR part IN 0..15 LOOP
        EXECUTE format('CREATE TABLE entries_%s PARTITION OF entries FOR VALUES WITH (MODULUS 16, REMAINDER %s)', part, part);
        EXECUTE format('ALTER TABLE entries_%s ALTER COLUMN block SET STORAGE EXTERNAL', part);
    END LOOP;
END $$;

-- The devices that a `welcome` entry is for.
CREATE TABLE welcomes (
    log_id    bytea  NOT NULL,
    seq       bigint NOT NULL,
    device_id bytea  NOT NULL,
    PRIMARY KEY (log_id, seq, device_id)
);

-- The MLS GroupInfo that came with a conversation's last commit.
CREATE TABLE group_infos (
    log_id     bytea NOT NULL PRIMARY KEY REFERENCES logs (id) ON DELETE CASCADE,
    group_info bytea NOT NULL
);

-- What is known of a blob; its bytes are objects, one for each chunk.
CREATE TABLE blobs (
    id         bytea  NOT NULL PRIMARY KEY CHECK (octet_length(id) = 16),
    log_id     bytea  NOT NULL REFERENCES logs (id),
    account_id bytea  NOT NULL REFERENCES accounts (id),
    size       bigint NOT NULL CHECK (size >= 0),
    "offset"   bigint NOT NULL DEFAULT 0 CHECK ("offset" >= 0 AND "offset" <= size),
    created_at bigint NOT NULL
);
CREATE INDEX blobs_by_account ON blobs (account_id, created_at);

CREATE TABLE blob_chunks (
    blob_id  bytea  NOT NULL REFERENCES blobs (id) ON DELETE CASCADE,
    "offset" bigint NOT NULL CHECK ("offset" >= 0),
    length   bigint NOT NULL CHECK (length > 0),
    PRIMARY KEY (blob_id, "offset")
);

-- Appends a batch: one call, one transaction, one round trip. The arrays have one
-- element for each append, in order; one row comes back for each, with its `place`
-- from 1. `outcome` is 'new', 'duplicate', 'not-member', 'forbidden' or
-- 'epoch-conflict' (then `seq` is the current epoch).
--
-- Two statements, for the second one needs a snapshot that is younger than the
-- locks: what a concurrent append or removal committed while this one waited must
-- be seen. Needs READ COMMITTED, where each statement of a VOLATILE function has a
-- snapshot of its own. The locks are taken in the order of ids, so that two batches
-- never wait for each other.
CREATE FUNCTION append_batch(
    logs_in bytea[], entries_in bytea[], kinds_in text[], accounts_in bytea[],
    devices_in bytea[], epochs_in bigint[], ats_in bigint[], blocks_in bytea[]
) RETURNS TABLE (place bigint, outcome text, seq bigint, at bigint, members_seq bigint)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
BEGIN
    PERFORM 1 FROM logs WHERE id = ANY (logs_in) ORDER BY id FOR NO KEY UPDATE;

    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT a.place, a.log_id, a.entry_id, a.kind, a.account_id, a.device_id, a.epoch, a.at, a.block,
               l.kind AS log_kind, l.last_seq, l.members_seq, l.epoch AS log_epoch,
               e.seq AS stored_seq, e.at AS stored_at,
               l.account_id = a.account_id AND l.kind = 'archive' OR m.account_id IS NOT NULL AS belongs
        FROM unnest(logs_in, entries_in, kinds_in, accounts_in, devices_in, epochs_in, ats_in, blocks_in)
             WITH ORDINALITY AS a (log_id, entry_id, kind, account_id, device_id, epoch, at, block, place)
        LEFT JOIN logs AS l ON l.id = a.log_id
        LEFT JOIN members AS m ON m.log_id = a.log_id AND m.account_id = a.account_id AND m.through_seq IS NULL
        LEFT JOIN entries AS e ON e.entry_id = a.entry_id AND e.device_id = a.device_id AND e.log_id = a.log_id
    ), judged AS (
        SELECT asked.*,
               CASE WHEN log_kind IS NULL THEN 'not-member'
                    WHEN stored_seq IS NOT NULL THEN 'duplicate'
                    WHEN log_kind = 'inbox' THEN 'forbidden'
                    WHEN NOT belongs THEN 'not-member'
                    WHEN epoch <> log_epoch THEN 'epoch-conflict'
                    ELSE 'new' END AS verdict
        FROM asked
    ), ranked AS (
        -- Of the same entry twice in the batch the first good one is new; what comes after it is a duplicate.
        SELECT judged.*, min(place) FILTER (WHERE verdict = 'new') OVER (PARTITION BY log_id, entry_id, device_id) AS first_place
        FROM judged
    ), numbered AS (
        SELECT ranked.*, ranked.last_seq + count(*) FILTER (WHERE place = first_place) OVER (PARTITION BY log_id ORDER BY place) AS new_seq
        FROM ranked
    ), firsts AS (
        SELECT numbered.*,
               min(new_seq) FILTER (WHERE place = first_place) OVER entry AS first_seq,
               min(at) FILTER (WHERE place = first_place) OVER entry AS first_at
        FROM numbered WINDOW entry AS (PARTITION BY log_id, entry_id, device_id)
    ), written AS (
        INSERT INTO entries (log_id, seq, at, kind, entry_id, account_id, device_id, epoch, block)
        SELECT log_id, new_seq, at, kind, entry_id, account_id, device_id, epoch, block
        FROM numbered WHERE place = first_place
    ), moved AS (
        UPDATE logs SET last_seq = counted.last_seq
        FROM (SELECT log_id, max(new_seq) AS last_seq FROM numbered WHERE place = first_place GROUP BY log_id) AS counted
        WHERE logs.id = counted.log_id
    )
    SELECT f.place,
           CASE WHEN f.place > f.first_place THEN 'duplicate' ELSE f.verdict END,
           CASE WHEN f.place >= f.first_place THEN f.first_seq
                WHEN f.verdict = 'epoch-conflict' THEN f.log_epoch
                ELSE f.stored_seq END,
           CASE WHEN f.place >= f.first_place THEN f.first_at ELSE f.stored_at END,
           f.members_seq
    FROM firsts AS f
    ORDER BY f.place;
END $$;
-- A batch is small beside the tables: always by index, by a plan that is made once.
ALTER FUNCTION append_batch SET enable_seqscan = off;
ALTER FUNCTION append_batch SET enable_hashjoin = off;
ALTER FUNCTION append_batch SET enable_mergejoin = off;
ALTER FUNCTION append_batch SET plan_cache_mode = force_generic_plan;
