"""Knows who a workspace's owner is on this host: uid, gid and home, and what cannot be had without them.

Refuses to ask the host: what it told is an argument, and silence is not an answer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from controller.api import policy as policies
from controller.api import workspace
from controller.api.conditions import Reason
from controller.model.effective import Effective, Refusal
from controller.model.observed import Account, AccountSeen, Unseen
from controller.planning.origins import Value

MAX_RUN_AS: Final = 2**31 - 1
"""The highest user or group id as which the Engine runs anything; files may belong to higher ones."""


@dataclass(frozen=True, slots=True)
class Person:
    """An owner, as far as spec, policy, ledger or host say who that is; None is what none of them says.

    Attributes:
        stated: spec or policy say the ids, whatever the host says.
        silence: why the host could not tell, or empty.
    """

    owner: str
    uid: int | None
    gid: int | None
    home: str | None
    stated: bool = False
    silence: str = ""

    @property
    def account(self) -> Account | None:
        """The account, where uid and gid are known; its home is empty where that is not."""
        if self.uid is None or self.gid is None:
            return None
        return Account(self.owner, self.uid, self.gid, self.home or "")

    def replacements(self) -> dict[str, str]:
        """What takes the place of `{uid}` and `{home}`, as far as they are known."""
        known = {"{uid}": None if self.uid is None else str(self.uid), "{home}": self.home}
        return {placeholder: text for placeholder, text in known.items() if text is not None}

    def lacking(self, what: str) -> Refusal:
        """Say that `what` cannot be had without an account, and what a person can do."""
        remedy = f"give users.{self.owner} uid, gid and home in the policy"
        if self.silence:
            message = (
                f'{what}, and the account "{self.owner}" is not known: {self.silence}; wait, or {remedy}'
            )
            return Refusal(Reason.NAME_SERVICE_SILENT, message)
        message = f'{what}, and this host knows no account "{self.owner}"; create it, or {remedy}'
        return Refusal(Reason.ACCOUNT_UNKNOWN, message)


def person(spec: workspace.Workspace, rules: policies.PolicySpec, owner: str, seen: AccountSeen) -> Person:
    """Return who the owner is: as the spec says, else the policy, else `seen`, of the ledger or the host.

    What the policy says of a user's ids and home has no end, unlike that user's exceptions.
    """
    said, told = rules.users.get(owner), seen if isinstance(seen, Account) else None
    silence = seen.message if isinstance(seen, Unseen) else ""
    home = (said.home if said else None) or (told.home if told else None) or None
    for source in (spec.spec, said):
        if source is not None and source.uid is not None:
            return Person(owner, source.uid, source.gid, home, stated=True, silence=silence)
    if told is None:
        return Person(owner, None, None, home, silence=silence)
    return Person(owner, told.uid, told.gid, home)


def trouble(
    effective: Effective, recorded: Account | None, told: Mapping[str, AccountSeen]
) -> tuple[Reason, str] | None:
    """Say what became of an account that was recorded, where nobody but the host says the owner's ids.

    A host that does not tell says nothing.
    """
    owner = effective.owner
    if effective.ids_stated or recorded is None or owner not in told:
        return None
    now, remedy = told[owner], f"users.{owner} in the policy"
    if now is None:
        message = (
            f'the host no longer has the account "{owner}"; create it with uid {recorded.uid}, '
            f"or give {remedy} uid and gid, or remove the spec"
        )
        return Reason.ACCOUNT_GONE, message
    if isinstance(now, Account) and now.uid != recorded.uid:
        message = (
            f'the account "{owner}" had uid {recorded.uid} and has {now.uid} now; put it back, or say '
            f"which uid and gid count: spec.uid and spec.gid, or {remedy}"
        )
        return Reason.ACCOUNT_CHANGED, message
    return None


def class_refusal(name: str, placeholders: Iterable[str], who: Person) -> Refusal | None:
    """Say which placeholders of a class cannot be replaced, or nothing."""
    missing = sorted({*placeholders} & {"{uid}", "{home}"} - who.replacements().keys())
    return who.lacking(f'class "{name}" uses {", ".join(missing)}') if missing else None


def refusal(values: Mapping[str, Value], who: Person) -> Refusal | None:
    """Say why a workspace cannot be had without an account, or as that one, or nothing."""
    as_owner = values["security.runAs"].value is workspace.RunAs.OWNER
    account = who.account
    if account is not None:
        high = max(account.uid, account.gid)
        if not as_owner or high <= MAX_RUN_AS:
            return None
        message = f"the Engine runs nothing as {high}: ids end at {MAX_RUN_AS}; set security.runAs: Image"
        return Refusal(Reason.NOT_SUPPORTED, message)
    if as_owner:
        refused = who.lacking("the container runs as its owner")
        return Refusal(refused.reason, f"{refused.message}, or set security.runAs: Image")
    found = values.get("mounts")
    for mount in cast("tuple[workspace.Mount, ...]", found.value if found else ()):
        if mount.create:
            return who.lacking(f'the mount "{mount.name}" is made for its owner')
    return None
