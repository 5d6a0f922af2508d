"""Gathers what `wharf audit` judges: journal, containers, the Engine's events, rules, secrets.

Refuses to change anything, to take the Engine's lock, and to judge.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from controller.api import labels
from controller.api.conditions import Reason
from controller.api.policy import ResourcePolicy
from controller.audit import evidence, host, tracing
from controller.engine import calls, observer, parsing, transport
from controller.engine import client as engine_client
from controller.ledger import chronicle, journal
from controller.ledger import ledger as ledgers
from controller.model import errors
from controller.model.memory import Memory
from controller.model.observed import EngineView, Limits, Unseen
from controller.model.status import Event
from controller.planning import case, claims, inventory
from controller.settings import Settings
from controller.sources import loader

SHORTEST_SECRET: Final = 8
"""Characters; a shorter one is found in any text."""
_NO_NONCE: Final = bytes(32)


def gather(settings: Settings, since: datetime, now: datetime) -> host.Host | None:
    """Look at everything once; None if there is no ledger.

    Raises:
        errors.EffectError: the ledger cannot be read, or the Engine does not answer.
    """
    opened = ledgers.Ledger.open_read_only(settings.state_dir)
    if opened is None:
        return None
    try:
        chains, complete = opened.intents(None, journal.KEPT), opened.complete_since()
        events, memory = opened.events(None, chronicle.KEPT), opened.recall(_NO_NONCE, now)
        policy = opened.remembered_source(ResourcePolicy.__name__)
    finally:
        opened.close()
    view, told = _engine(settings, since, now)
    seen = tuple(_seen(view, memory))
    ours = {one.container.id: one.workspace for one in seen if one.workspace}
    safety = settings.config.safety
    return host.Host(
        at=now,
        since=since,
        chains=chains,
        complete_since=complete,
        containers=seen,
        told=tuple(_told(told, ours, memory.claim_key)),
        approvals=tuple(_approvals(events)),
        per_minute=safety.max_disruptions_per_minute,
        percent=safety.max_disruptions_percent,
        retain=safety.retain_replaced,
        roots=_roots(policy, settings.runtime_dir / "secrets"),
        texts=tuple(_texts(chains, events, view)),
        canaries=tuple(_secrets(settings.secrets_dir)),
    )


def _engine(
    settings: Settings, since: datetime, now: datetime
) -> tuple[EngineView, tuple[transport.Row, ...]]:
    config = settings.config
    client = engine_client.connect(config.docker.host, config.docker.request_timeout, lambda *_: None)
    looking = observer.Observer(
        client, config.inspect_interval, config.resync_interval, _no_limits, _no_listening
    )
    try:
        found = looking.observe(frozenset(), now)
        if isinstance(found, Unseen):
            raise errors.Retryable(found.reason, found.message)
        return found.value, tuple(_read(client, since))
    finally:
        client.close()


def _no_limits(_pid: int) -> Limits:
    return Limits()


def _no_listening(_pid: int) -> frozenset[int]:
    return frozenset()


def _read(client: calls.EngineClient, since: datetime) -> Iterator[transport.Row]:
    """Read what the Engine still has of its events; that is the last few hundred at most."""
    until = parsing.parse_facts(client.info()).time
    if since >= until:
        return
    try:
        yield from client.events(since, until)
    except transport.UnansweredError as silence:
        raise errors.Retryable(Reason.ENGINE_UNAVAILABLE, str(silence)) from silence


def _seen(view: EngineView, memory: Memory) -> Iterator[host.Seen]:
    """Return every container, with the workspace of those that are ours."""
    index, _ = inventory.Inventory().index(view, memory)
    owners = {container.id: name for name, ours in index.items() for container in ours.all()}
    for container in view.containers.values():
        yield host.Seen(
            container=container,
            workspace=owners.get(container.id, ""),
            kept=case.is_kept(container, memory),
            adopted=container.id in memory.adopted,
        )


def _told(rows: tuple[transport.Row, ...], ours: Mapping[str, str], key: bytes) -> Iterator[host.Told]:
    """Return the events about containers of ours; of one that is gone its labels tell whether it was."""
    for row in rows:
        what, actor = str(row.get("Action")), row.get("Actor") or {}
        told = row.get("Type") == "container" and what in tracing.KINDS and what not in {"create", "die"}
        if not told:
            continue
        identifier, values = str(actor.get("ID")), actor.get("Attributes") or {}
        workspace = ours.get(identifier) or (
            values.get(labels.WORKSPACE, "") if claims.is_ours(key, values) else ""
        )
        if workspace:
            at = datetime.fromtimestamp(int(row["timeNano"]) / 10**9, tz=UTC)
            yield host.Told(at, what, identifier, str(values.get("name", "")), workspace)


def _approvals(events: tuple[Event, ...]) -> Iterator[evidence.Ask]:
    for event in events:
        if event.reason is Reason.APPROVED:
            yield evidence.Ask(event.first_at or event.at, "approve", event.subject)


def _roots(policy: tuple[str, str] | None, secrets: Path) -> tuple[str, ...] | None:
    """Return where mounts may lie by the policy in force."""
    if policy is None:
        return None
    parsed = loader.parse_document(policy[0].encode(), "policy", ResourcePolicy)
    if isinstance(parsed, loader.Rejection):
        return None
    return (*parsed.value.spec.mount_roots, str(secrets))


def _texts(chains: tuple[journal.Entry, ...], events: tuple[Event, ...], view: EngineView) -> Iterator[str]:
    """Return what was written down or told: journal, events, labels."""
    for chain in chains:
        yield json.dumps(asdict(chain), default=str)
    yield from (event.message for event in events)
    for container in view.containers.values():
        yield json.dumps(dict(container.labels))


def _secrets(directory: Path) -> Iterator[str]:
    """Return the secrets that the caller may read, but for those that are too short to be looked for."""
    for file in sorted(directory.rglob("*")):
        try:
            text = file.read_bytes().decode(errors="replace").strip() if file.is_file() else ""
        except OSError:
            continue
        if len(text) >= SHORTEST_SECRET:
            yield text
