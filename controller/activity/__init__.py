"""Reads what a workspace is doing, from outside of it. Refuses to judge it."""
