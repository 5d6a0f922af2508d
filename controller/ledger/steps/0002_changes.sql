-- Replacements that can be undone, what the budget holds, and what people let go.

ALTER TABLE intents ADD COLUMN cause TEXT;
CREATE INDEX intents_disrupting ON intents (opened_at) WHERE cause IS NOT NULL;

CREATE TABLE held (
    workspace TEXT PRIMARY KEY,
    cause TEXT NOT NULL,
    change TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;

CREATE TABLE approvals (
    workspace TEXT PRIMARY KEY,
    change TEXT NOT NULL,
    at TEXT NOT NULL,
    by TEXT NOT NULL
) STRICT;

CREATE TABLE replacements (
    workspace TEXT PRIMARY KEY,
    old_id TEXT NOT NULL,
    template_hash TEXT NOT NULL,
    image_id TEXT NOT NULL,
    begun_at TEXT NOT NULL
) STRICT;

CREATE TABLE rollbacks (
    workspace TEXT PRIMARY KEY,
    to_id TEXT NOT NULL,
    requested INTEGER NOT NULL,
    at TEXT NOT NULL,
    by TEXT NOT NULL
) STRICT;

CREATE TABLE pins (
    workspace TEXT PRIMARY KEY,
    container_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    at TEXT NOT NULL,
    by TEXT NOT NULL
) STRICT;

CREATE TABLE failed (
    workspace TEXT PRIMARY KEY,
    template_hash TEXT NOT NULL,
    image_id TEXT NOT NULL,
    message TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;

CREATE TABLE adopted (
    container_id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    at TEXT NOT NULL,
    by TEXT NOT NULL
) STRICT;

-- Kept containers that a person wants removed.
CREATE TABLE forget_requests (
    container_id TEXT PRIMARY KEY,
    at TEXT NOT NULL
) STRICT;

-- What the host was when it was last looked at completely: another boot, Engine or schema is looked at first.
CREATE TABLE proven_host (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    identity TEXT NOT NULL
) STRICT;
