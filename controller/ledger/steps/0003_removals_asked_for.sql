-- Workspaces whose spec file a person removed by a word to the controller: they count in no budget.
CREATE TABLE removal_requests (
    workspace TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    by TEXT NOT NULL
) STRICT;
