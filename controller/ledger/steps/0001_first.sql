-- Times are ISO 8601 in UTC. Columns of values that the code knows as a dataclass have its fields' names.

CREATE TABLE epochs (
    epoch INTEGER PRIMARY KEY,
    engine_id TEXT NOT NULL,
    began_at TEXT NOT NULL
) STRICT;

CREATE TABLE probes (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at TEXT NOT NULL
) STRICT;

-- The directory of the specs; numbers as text, because an inode may need all 64 bits.
CREATE TABLE spec_directory (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    device TEXT NOT NULL,
    inode TEXT NOT NULL
) STRICT;

CREATE TABLE sources (
    kind TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    digest TEXT NOT NULL
) STRICT;

CREATE TABLE accepted (
    name TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    uid TEXT NOT NULL,
    generation INTEGER NOT NULL,
    digest TEXT NOT NULL,
    file TEXT NOT NULL,
    accepted_at TEXT NOT NULL,
    confirmed INTEGER NOT NULL,
    missing_since TEXT,
    lines TEXT NOT NULL
) STRICT;

CREATE TABLE accounts (
    name TEXT PRIMARY KEY,
    uid INTEGER NOT NULL,
    gid INTEGER NOT NULL,
    home TEXT NOT NULL
) STRICT;

CREATE TABLE suspensions (
    workspace TEXT PRIMARY KEY,
    running INTEGER NOT NULL,
    desired_state TEXT NOT NULL,
    at TEXT NOT NULL,
    by TEXT NOT NULL
) STRICT;

-- The empty name is the host.
CREATE TABLE pauses (
    workspace TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    by TEXT NOT NULL
) STRICT;

CREATE TABLE restart_requests (
    workspace TEXT PRIMARY KEY,
    at TEXT NOT NULL
) STRICT;

CREATE TABLE restarts (
    workspace TEXT PRIMARY KEY,
    container_id TEXT NOT NULL,
    count INTEGER NOT NULL,
    last_start TEXT NOT NULL
) STRICT;

CREATE TABLE backoffs (
    workspace TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    next_attempt TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    key TEXT NOT NULL
) STRICT;

CREATE TABLE retained (
    container_id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    at TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;

CREATE TABLE port_blocks (
    base INTEGER PRIMARY KEY,
    size INTEGER NOT NULL CHECK (size > 0),
    pool TEXT NOT NULL,
    owner TEXT NOT NULL,
    released_at TEXT
) STRICT;

CREATE TABLE port_grants (
    port INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    workspace TEXT NOT NULL,
    service TEXT NOT NULL,
    UNIQUE (workspace, service)
) STRICT;

CREATE TRIGGER port_blocks_are_apart BEFORE INSERT ON port_blocks
BEGIN
    SELECT RAISE(ABORT, 'it overlaps a block that is given')
    FROM port_blocks WHERE base < NEW.base + NEW.size AND NEW.base < base + size;
    SELECT RAISE(ABORT, 'it holds a port that another owner was granted')
    FROM port_grants WHERE port >= NEW.base AND port < NEW.base + NEW.size AND owner <> NEW.owner;
END;

CREATE TRIGGER port_grants_are_apart BEFORE INSERT ON port_grants
BEGIN
    SELECT RAISE(ABORT, 'it is granted to another workspace')
    FROM port_grants WHERE port = NEW.port;
    SELECT RAISE(ABORT, 'it lies in the block of another owner')
    FROM port_blocks WHERE NEW.port >= base AND NEW.port < base + size AND owner <> NEW.owner;
END;

CREATE TABLE intents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace TEXT NOT NULL,
    opened_at TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    disrupts INTEGER NOT NULL,
    container_id TEXT,
    ports TEXT NOT NULL,
    actions TEXT NOT NULL,
    resolved_at TEXT,
    abandoned INTEGER NOT NULL DEFAULT 0,
    outcomes TEXT NOT NULL DEFAULT '[]'
) STRICT;

CREATE INDEX intents_by_workspace ON intents (workspace, id);
CREATE INDEX intents_open ON intents (id) WHERE resolved_at IS NULL;

-- Newest last by `sequence`; an event that happens again gets a new one.
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    warning INTEGER NOT NULL,
    count INTEGER NOT NULL,
    first_at TEXT NOT NULL,
    UNIQUE (subject, reason, message)
) STRICT;
