"""Looks at the host's GPUs: devices, their users, their health. Refuses to say which of them is free."""
