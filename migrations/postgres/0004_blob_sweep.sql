-- Blobs that end: quotas, uploads that expire, objects and rows that lost each other.
-- Times are ms since the Unix epoch.

-- What the blob's objects are called. It is drawn anew whenever a row is made, and never used again: objects under a
-- name that no row has are nobody's for good. Null in rows of before: the blob's id.
ALTER TABLE blobs ADD COLUMN object_key bytea CHECK (octet_length(object_key) = 16);
-- When its last piece came.
ALTER TABLE blobs ADD COLUMN moved_at bigint NOT NULL DEFAULT 0;
-- Since when bytes of it are known to be missing.
ALTER TABLE blobs ADD COLUMN lost_at bigint;
UPDATE blobs SET moved_at = created_at;
CREATE UNIQUE INDEX blobs_by_key ON blobs (coalesce(object_key, id));
CREATE INDEX blobs_unfinished ON blobs (moved_at) WHERE "offset" < size;
CREATE INDEX blobs_by_age ON blobs (moved_at);

-- One row: which server sweeps.
CREATE TABLE blob_sweep (
    only_row     bigint NOT NULL PRIMARY KEY CHECK (only_row = 1),
    server       text   NOT NULL DEFAULT '',
    until        bigint NOT NULL DEFAULT 0,
    walked_at    bigint NOT NULL DEFAULT 0,
    -- Nothing is removed before: a backup is being made.
    paused_until bigint NOT NULL DEFAULT 0
);
INSERT INTO blob_sweep (only_row) VALUES (1);
