"""Publishes what the other rooms found. Refuses to decide and to change anything."""
