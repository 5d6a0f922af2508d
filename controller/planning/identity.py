"""Knows who a workspace's owner is on this host: uid, gid and home, and what cannot be had without them.

Refuses to ask the host: accounts are arguments.
"""

from collections.abc import Mapping

from controller.api import workspace
from controller.api.conditions import Reason
from controller.model.effective import Refusal
from controller.model.observed import Account
from controller.planning.layers import Value


def refusal(values: Mapping[str, Value], owner: str, account: Account | None) -> Refusal | None:
    """Say why a workspace cannot be had without an account, or nothing."""
    if values["security.runAs"].value is workspace.RunAs.OWNER and account is None:
        return Refusal(
            Reason.ACCOUNT_UNKNOWN,
            f'the container runs as its owner, and this host knows no account "{owner}"; create the account, '
            "or set security.runAs: Image",
        )
    return None
