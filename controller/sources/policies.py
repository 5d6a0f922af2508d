"""Knows the policy and the catalog in force: the last valid files, whatever the files say now.

Refuses to let a rejected, half-written or vanished file loosen anything: what was accepted stays in force.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Generic, TypeVar

from controller.api.conditions import Reason
from controller.api.images import ImageCatalog
from controller.api.policy import ResourcePolicy
from controller.model.desired import AcceptedPolicy, Finding
from controller.model.observed import AccountSeen, Unseen
from controller.sources import files, findings, loader, members

DocumentT = TypeVar("DocumentT", ResourcePolicy, ImageCatalog)

STATES: Final = ("valid", "invalid", "settling")
"""Of a file, for the metric."""

Recall = Callable[[str], tuple[str, str] | None]
Remember = Callable[[str, str, str], None]


class Policies:
    """Looks at the two files; `recall` and `remember` keep their last accepted texts across restarts."""

    def __init__(
        self, policy_file: str, catalog_file: str, settle: timedelta, recall: Recall, remember: Remember
    ) -> None:
        self._policy = _Document(policy_file, settle, ResourcePolicy, recall, remember)
        self._catalog = _Document(catalog_file, settle, ImageCatalog, recall, remember)
        self._members = members.Members(policy_file, settle, recall, remember)
        self._accepted: AcceptedPolicy | None = None

    @property
    def next_look(self) -> datetime | None:
        """When a file that is being written must be read again."""
        parts = (self._policy, self._catalog, self._members)
        return min((part.due for part in parts if part.due), default=None)

    def observe(self, accounts: Mapping[str, AccountSeen], now: datetime) -> AcceptedPolicy | Unseen:
        """Return what is in force; Unseen while a file is there and none of its contents was ever valid.

        `accounts` are the owners', as the host tells of them now: a primary group makes a member too.
        """
        policy, catalog = self._policy.observe(now), self._catalog.observe(now)
        for document in (self._policy, self._catalog):
            if document.unusable is not None:
                return Unseen(*document.unusable, now)
        assert policy is not None
        assert catalog is not None
        roll = self._members.observe(policy.spec.groups, accounts, now)
        text = f"{self._policy.digest}/{self._catalog.digest}" + (f"/{roll.digest}" if roll.digest else "")
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        found = self._policy.findings + self._catalog.findings + roll.findings
        accepted = AcceptedPolicy(
            policy,
            catalog,
            digest,
            found,
            roll.members,
            roll.unread,
            self._policy.name,
            self._catalog.name,
            self._policy.lines,
            self._catalog.lines,
        )
        before = self._accepted
        if before and before.policy is policy and before.catalog is catalog and before == accepted:
            return before
        self._accepted = accepted
        return accepted

    def files(self) -> dict[tuple[str, str], int]:
        """Return the number of files by (kind, state), for the metric."""
        counts = {
            (document.kind, state): int(document.state == state)
            for document in (self._policy, self._catalog)
            for state in STATES
        }
        states = list(self._members.states.values())
        return counts | {(members.KIND, state): states.count(state) for state in STATES}

    def directories(self) -> frozenset[str]:
        """Return the directories of all files that count now; may be asked from any thread."""
        own = (self._policy.path, self._catalog.path)
        return self._members.directories() | {os.path.dirname(path) or "." for path in own}  # noqa: PTH120 - text


class _Document(Generic[DocumentT]):
    """One file, and what of it is in force."""

    def __init__(
        self, path: str, settle: timedelta, model: type[DocumentT], recall: Recall, remember: Remember
    ) -> None:
        self.kind = model.__name__
        self.path = path
        self.due: datetime | None = None
        self.findings: tuple[Finding, ...] = ()
        self.unusable: tuple[Reason, str] | None = None
        self.state = "absent"
        self.digest = "absent"
        self.name = Path(path).name
        self.lines: Mapping[str, int] = {}
        self._file: files.DocumentFile[DocumentT] = files.DocumentFile(path, settle, files.document(model))
        self._model: type[DocumentT] = model
        self._remember = remember
        self._value: DocumentT | None = None
        remembered = recall(self.kind)
        if remembered is not None:
            parsed = loader.parse_document(remembered[0].encode(), f"the last accepted {self.kind}", model)
            if isinstance(parsed, loader.Parsed):
                self._value, self.digest = parsed.value, remembered[1]

    def observe(self, now: datetime) -> DocumentT | None:
        self.due, self.findings, self.unusable = None, (), None
        state = self._file.observe(now)
        match state:
            case files.Settled():
                self.state = "valid"
                if state.digest != self.digest or self._value is None:
                    self._take(state.parsed.value, state.digest)
                self.lines = state.parsed.lines
            case files.Settling():
                self.state, self.due = "settling", state.due
                if self._value is None:
                    self.unusable = (Reason.SETTLING, f"{self._file.path} is read once more")
            case loader.Rejection():
                self.state, self.findings, self.lines = "invalid", state.findings, {}
                if self._value is None:
                    self.unusable = (Reason.POLICY_REJECTED, str(state.findings[0]))
            case files.Absent():
                self._absent()
        return self._value

    def _take(self, value: DocumentT, digest: str) -> None:
        text = value.model_dump_json(by_alias=True, exclude_unset=True)
        self._remember(self.kind, text, digest)
        self._value, self.digest = value, digest

    def _absent(self) -> None:
        """No such file: nothing was ever said, or the last word stays in force and the loss is told."""
        self.state, self.lines = "absent", {}
        if self._value is None or self.digest == "absent":
            if self._value is None:
                self._value = self._model.model_validate(
                    {
                        "apiVersion": "wharfinger.dev/v1",
                        "kind": self.kind,
                        "metadata": {"name": "absent"},
                        "spec": {},
                    }
                )
            return
        message = (
            f"the file is gone; its last accepted contents stay in force (an empty {self.kind} ends them)"
        )
        self.findings = (findings.of_file(self._file.path, message),)
