"""Keeps what Docker cannot tell. Refuses to hold what Docker can tell."""
