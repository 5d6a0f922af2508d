-- Which limits the controller gave to a workspace's container last; NULL is unlimited.
CREATE TABLE given_limits (
    workspace TEXT PRIMARY KEY,
    container_id TEXT NOT NULL,
    nano_cpus INTEGER,
    cpuset TEXT,
    memory INTEGER,
    memory_reservation INTEGER,
    memory_swap INTEGER,
    pids INTEGER
) STRICT;
