-- The control plane's tables: what should be, who changed it, and what is still under way.
-- Times are ms since the Unix epoch.

-- One row: the fleet itself. `generation` counts every change of desired state.
CREATE TABLE cluster (
    id          bigint  PRIMARY KEY CHECK (id = 1),
    name        text    NOT NULL,
    fleet_key   bytea   NOT NULL CHECK (octet_length(fleet_key) = 32),
    control     text    NOT NULL DEFAULT '',
    database    text    NOT NULL DEFAULT '',
    blobs       text    NOT NULL DEFAULT '',
    generation  bigint  NOT NULL DEFAULT 1
);

CREATE TABLE hosts (
    name             text    COLLATE "C" PRIMARY KEY,
    address          text    NOT NULL,
    internal_address text    NOT NULL,
    probe_port       bigint  NOT NULL,
    balancer_port    bigint  NOT NULL,
    server_port_base bigint  NOT NULL
);

-- A row stays when its instance is gone (goal `gone`): names are never reused.
CREATE TABLE instances (
    name            text    COLLATE "C" PRIMARY KEY,
    role            text    NOT NULL CHECK (role IN ('server', 'balancer')),
    ordinal         bigint  NOT NULL,
    host            text    NOT NULL REFERENCES hosts (name),
    listen          text    NOT NULL,
    internal_listen text    NOT NULL,
    probe_listen    text    NOT NULL,
    weight          double precision NOT NULL,
    connections_max bigint  NOT NULL,
    epoch           bigint  NOT NULL,
    goal            text    NOT NULL CHECK (goal IN ('run', 'drain', 'stop', 'gone')),
    goal_until      bigint ,
    goal_generation bigint  NOT NULL,
    UNIQUE (role, ordinal)
);
CREATE INDEX instances_live ON instances (role, ordinal) WHERE goal <> 'gone';

-- One row: the strategy in force.
CREATE TABLE balancing (
    id         bigint  PRIMARY KEY CHECK (id = 1),
    strategy   text    NOT NULL,
    parameters text    NOT NULL,
    generation bigint  NOT NULL
);

CREATE TABLE operations (
    id         text    COLLATE "C" PRIMARY KEY,
    target     text    NOT NULL,
    state      text    NOT NULL CHECK (state IN ('pending', 'running', 'succeeded', 'failed')),
    document   text    NOT NULL
);
CREATE INDEX operations_open ON operations (id) WHERE state IN ('pending', 'running');
CREATE INDEX operations_by_target ON operations (target, id);

-- What was answered to a POST with an Idempotency-Key.
CREATE TABLE idempotency (
    principal   text    NOT NULL,
    key         text    NOT NULL,
    fingerprint bytea   NOT NULL,
    status      bigint  NOT NULL,
    location    text    NOT NULL,
    body        text    NOT NULL,
    created_at  bigint  NOT NULL,
    PRIMARY KEY (principal, key)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- Append-only; `hash` = SHA-256(hash of the row before ‖ seq ‖ record).
CREATE TABLE audit (
    seq    bigint  PRIMARY KEY,
    record text    NOT NULL,
    hash   bytea   NOT NULL CHECK (octet_length(hash) = 32)
);
