-- When the first generation of a workspace was accepted; NULL: the one that is in force is the first.
ALTER TABLE accepted ADD COLUMN created_at TEXT;
