"""Knows what there is to tell of the files: how many there are in each state, and what is wrong in them.

Refuses to read a file.
"""

from collections.abc import Mapping

from controller.model.desired import Desired, Finding
from controller.model.observed import Seen, Unseen


def counts(desired: Desired, others: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Return the number of files by (kind, state); `others` are those that hold no workspaces."""
    scan = desired.scan.value if isinstance(desired.scan, Seen) else None
    return {
        **others,
        ("Workspace", "valid"): len(scan.files) if scan else 0,
        ("Workspace", "invalid"): len(scan.rejected) if scan else 0,
        ("Workspace", "settling"): len(scan.settling) if scan else 0,
        ("Workspace", "ignored"): len(scan.ignored) if scan else 0,
    }


def findings(desired: Desired) -> tuple[Finding, ...]:
    """Return what is wrong in files, those of workspaces first."""
    rejected = tuple(finding for file in desired.rejected.values() for finding in file.findings)
    return rejected + (() if isinstance(desired.policy, Unseen) else desired.policy.findings)
