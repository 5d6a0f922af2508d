-- Which content a reference had on this host: the digest in its repository, the image, and since when.
CREATE TABLE contents (
    digest TEXT PRIMARY KEY,
    image_id TEXT NOT NULL,
    reference TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;

-- When the registry of a reference was last asked and answered.
CREATE TABLE asked (
    reference TEXT PRIMARY KEY,
    at TEXT NOT NULL
) STRICT;
