"""Knows when a replacement has succeeded: its container ran well, or the old one returns.

Refuses to blame a template for what a person did, and to try a failed one again by itself.
"""

from datetime import timedelta
from typing import Final

from controller.api.conditions import Reason
from controller.model import actions
from controller.model.memory import FailedTemplate, Replacement
from controller.model.observed import Container, Health
from controller.model.plan import Decision, Verdict
from controller.planning import obstacles, replacement, rollback, template
from controller.planning.case import Case

RUNS_WELL = timedelta(seconds=10)
"""A new container that ran this long, and is healthy, has replaced the old one."""
_OF_THE_OWNER: Final = frozenset({Reason.LIMIT_UNENFORCEABLE, Reason.MEMORY_PROMISED})
"""Obstacles that keep the old container down as well."""
HEALTH_LOOK = timedelta(seconds=2)
"""How soon a health check that has not passed yet is looked at again."""


def under_way(case: Case) -> Decision | None:
    """A replacement is not proven yet."""
    begun = case.memory.replacements.get(case.name)
    if begun is None:
        return None
    main = case.ours.main
    if main is None:
        return _without_main(case, begun)
    if main.id == begun.old_id:
        return None if replacement.needed(case.drifts) else _end(case, "the change was taken back")
    if main.running:
        return _running(case, begun, main)
    return _ended(case, begun, main)


def _without_main(case: Case, begun: Replacement) -> Decision | None:
    """The old one is put aside and the new one is not there: make it, unless that was refused."""
    old = next((c for c in case.ours.others if c.id == begun.old_id), None)
    if old is None:
        return _end(case, "neither its old nor its new container is there")
    if old.running:
        return None  # the old one is in the way yet: see replacement.half_done
    refused = case.memory.backoffs.get(case.name)
    if refused is None or not refused.key.startswith(f"{case.key}:"):
        return None
    lasting = refused.reason is Reason.REFUSED_BY_ENGINE
    failed = _failed(case, begun, refused.message) if lasting else None
    return _give_up(case, begun, refused.message, failed)


def _running(case: Case, begun: Replacement, main: Container) -> Decision | None:
    if main.health is Health.UNHEALTHY:
        return _give_up(case, begun, "its health check fails", _failed(case, begun, "its health check fails"))
    since = main.started_at or case.now
    if abs(case.now - since) < RUNS_WELL:  # a clock set back is not waited for
        message = f"the new container runs since {since:%H:%M:%S} and must run for 10 s"
        return case.decide(Verdict.WAIT, Reason.PROVING, message, retry_at=since + RUNS_WELL)
    if main.health is Health.STARTING:
        message = "the new container's health check has not passed yet"
        return case.decide(Verdict.WAIT, Reason.PROVING, message, retry_at=case.now + HEALTH_LOOK)
    return _end(case, "the new container is proven")


def _ended(case: Case, begun: Replacement, main: Container) -> Decision | None:
    """The new container does not run: it failed, unless nobody has started it or a person stopped it."""
    wish, ended = case.wish, main.finished_at
    if wish is not None and wish.running and ended is not None and wish.at >= ended:
        return None
    if main.started_at is None and not main.error and not main.exit_code:
        return _in_the_way(case, begun)
    message = main.error or f"it ended with code {main.exit_code}"
    return _give_up(case, begun, message, _failed(case, begun, message))


def _in_the_way(case: Case, begun: Replacement) -> Decision | None:
    """Nobody has started the new container yet; what keeps it down must not keep the old one down."""
    obstacle = obstacles.host(case)
    if obstacle is None or obstacle.verdict is not Verdict.HOLD or obstacle.reason in _OF_THE_OWNER:
        return None
    return _give_up(case, begun, obstacle.message, _failed(case, begun, obstacle.message))


def _failed(case: Case, begun: Replacement, message: str) -> FailedTemplate:
    return FailedTemplate(case.name, begun.template_hash, begun.image_id, message, case.now)


def _give_up(case: Case, begun: Replacement, message: str, failed: FailedTemplate | None) -> Decision:
    old = next((c for c in case.ours.others if c.id == begun.old_id), None)
    if old is None:
        return _end(case, f"{message}, and the container before it is gone", failed)
    unfit = None if old.running else obstacles.parent(case, old)
    if unfit is not None:
        return _end(case, f"{message}, and the container before it stays kept: {unfit.message}", failed)
    text = f"{message}; the container before it comes back"
    back = rollback.begin(case, begun.old_id, failed)
    return case.decide(Verdict.REPLACE, Reason.ROLLING_BACK, text, actions=back)


def _end(case: Case, message: str, failed: FailedTemplate | None = None) -> Decision:
    end = (actions.EndReplacement(case.name, failed),)
    return case.decide(Verdict.UPDATE, Reason.PROVING, message, actions=end)


def has_failed(case: Case) -> FailedTemplate | None:
    """Return the failure of the very template and image that the workspace would be replaced with."""
    failed = case.memory.failed.get(case.name)
    if failed is None or case.name in case.memory.restart_requests:
        return None
    wanted = case.design.template
    image = case.scene.view.images.get(wanted.image) or ""
    same = failed.image_id == image and template.is_digest_of(failed.template_hash, wanted)
    return failed if same else None


def is_pinned(case: Case) -> bool:
    """Tell whether a person put the container back and the spec was not edited since."""
    pin, main = case.memory.pins.get(case.name), case.ours.main
    return (
        pin is not None
        and main is not None
        and pin.container_id == main.id
        and pin.generation == case.accepted.generation
    )
