-- The control plane's tables: what should be, who changed it, and what is still under way.
-- Times are ms since the Unix epoch.

-- One row: the fleet itself. `generation` counts every change of desired state.
CREATE TABLE cluster (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    name        TEXT    NOT NULL,
    fleet_key   BLOB    NOT NULL CHECK (length(fleet_key) = 32),
    control     TEXT    NOT NULL DEFAULT '',
    database    TEXT    NOT NULL DEFAULT '',
    blobs       TEXT    NOT NULL DEFAULT '',
    generation  INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TABLE hosts (
    name             TEXT    PRIMARY KEY,
    address          TEXT    NOT NULL,
    internal_address TEXT    NOT NULL,
    probe_port       INTEGER NOT NULL,
    balancer_port    INTEGER NOT NULL,
    server_port_base INTEGER NOT NULL
) STRICT;

-- A row stays when its instance is gone (goal `gone`): names are never reused.
CREATE TABLE instances (
    name            TEXT    PRIMARY KEY,
    role            TEXT    NOT NULL CHECK (role IN ('server', 'balancer')),
    ordinal         INTEGER NOT NULL,
    host            TEXT    NOT NULL REFERENCES hosts (name),
    listen          TEXT    NOT NULL,
    internal_listen TEXT    NOT NULL,
    probe_listen    TEXT    NOT NULL,
    weight          REAL    NOT NULL,
    connections_max INTEGER NOT NULL,
    epoch           INTEGER NOT NULL,
    goal            TEXT    NOT NULL CHECK (goal IN ('run', 'drain', 'stop', 'gone')),
    goal_until      INTEGER,
    goal_generation INTEGER NOT NULL,
    UNIQUE (role, ordinal)
) STRICT;
CREATE INDEX instances_live ON instances (role, ordinal) WHERE goal <> 'gone';

-- One row: the strategy in force.
CREATE TABLE balancing (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    strategy   TEXT    NOT NULL,
    parameters TEXT    NOT NULL,
    generation INTEGER NOT NULL
) STRICT;

CREATE TABLE operations (
    id         TEXT    PRIMARY KEY,
    target     TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('pending', 'running', 'succeeded', 'failed')),
    document   TEXT    NOT NULL
) STRICT;
CREATE INDEX operations_open ON operations (id) WHERE state IN ('pending', 'running');
CREATE INDEX operations_by_target ON operations (target, id);

-- What was answered to a POST with an Idempotency-Key.
CREATE TABLE idempotency (
    principal   TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,
    status      INTEGER NOT NULL,
    location    TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (principal, key)
) STRICT;
CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- Append-only; `hash` = SHA-256(hash of the row before ‖ seq ‖ record).
CREATE TABLE audit (
    seq    INTEGER PRIMARY KEY,
    record TEXT    NOT NULL,
    hash   BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
