"""Every label, name and environment variable that the controller writes on Docker objects.

Refuses to read or write any of them: rooms that need a name take it from here.
"""

PREFIX = "dev.wharfinger."

WORKSPACE = PREFIX + "workspace"
"""Name of the workspace that the container belongs to."""
UID = PREFIX + "uid"
"""Uid of the workspace object: a name that is used again gets another uid."""
OWNER = PREFIX + "owner"
"""Login name of the owner."""
GENERATION = PREFIX + "generation"
"""Generation of the spec at creation; information for people, never compared."""
EPOCH = PREFIX + "epoch"
"""Epoch of the controller that created the container; information, never compared."""
TEMPLATE_HASH = PREFIX + "template-hash"
"""Version of the rendering and the hash of all that needs a new container when it changes: `v2:…`."""
GPUS = PREFIX + "gpus"
"""Comma-separated UUIDs of the devices that were granted; empty for none."""
INSTANCE = PREFIX + "instance"
"""128 random bits in hex, new for each container: a second container with the same value is a copy."""
CLAIM = PREFIX + "claim"
"""HMAC-SHA-256 in hex over all the other labels here, with a key that only the controller can read."""

SIGNED = (WORKSPACE, UID, OWNER, GENERATION, EPOCH, TEMPLATE_HASH, GPUS, INSTANCE)
"""The labels that the claim covers, in the order in which they are signed."""
COMPARED = (WORKSPACE, OWNER, TEMPLATE_HASH, GPUS)
"""The labels whose difference is drift."""

NETWORK_PRIVATE = "wharf"
"""Bridge without traffic between containers, for `isolation: Private`."""
NETWORK_OPEN = "wharf-open"
"""Bridge with traffic between containers, for `isolation: Open`."""

SECRETS_TARGET = "/run/secrets"
"""Directory in the container that shows the workspace's secrets."""


def container_name(workspace: str) -> str:
    """Name of the container of a workspace."""
    return f"workspace-{workspace}"


def retained_name(workspace: str, instance: str) -> str:
    """Name of a container that was replaced or removed and is kept."""
    return f"workspace-{workspace}.{instance[:8]}"
