-- Which devices a chain under way was granted: UUIDs.
ALTER TABLE intents ADD COLUMN gpus TEXT NOT NULL DEFAULT '[]';

-- Devices that a person took out of use.
CREATE TABLE cordons (
    uuid TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    by TEXT NOT NULL,
    drain INTEGER NOT NULL
) STRICT;

-- Devices that are out of use until what ails them is gone for some time.
CREATE TABLE fences (
    uuid TEXT PRIMARY KEY,
    ailment TEXT NOT NULL,
    message TEXT NOT NULL,
    since TEXT NOT NULL,
    last TEXT NOT NULL,
    code INTEGER,
    lasts INTEGER NOT NULL
) STRICT;

-- Since when a workspace waits for devices.
CREATE TABLE gpu_waits (
    workspace TEXT PRIMARY KEY,
    at TEXT NOT NULL
) STRICT;
