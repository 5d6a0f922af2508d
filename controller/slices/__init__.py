"""Reads and writes cgroup files. Refuses to choose limits."""
