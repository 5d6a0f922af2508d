-- Which container bears an instance: the first that was seen with it. Any other one is a copy.
CREATE TABLE identities (
    instance TEXT PRIMARY KEY,
    container_id TEXT NOT NULL
) STRICT;
