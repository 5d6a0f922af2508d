"""Wharfinger keeps each user's workspace container on a GPU host exactly as its spec file says."""

__version__ = "0.1.0"
