"""Reads and changes the Docker Engine. Refuses to choose."""
