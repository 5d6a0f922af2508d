"""The wharf command: parses, calls, prints. Refuses to decide."""
