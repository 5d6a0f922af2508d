"""Knows what must never happen, as functions over what was done and what is true; decides nothing."""
