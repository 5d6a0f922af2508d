"""A container that never ran keeps no GPU for a workspace that cannot have what it asks for now."""

import pytest

from controller.api.conditions import Reason
from controller.model.actions import RemoveContainer
from tests.support import stories

HOST = {"gpus": ["GPU-1", "GPU-2"]}


@pytest.mark.parametrize(("count", "reason"), [(1, Reason.FIRST_START), (3, Reason.GPU_RELEASED)])
def test_what_was_made_for_fewer_gpus_than_are_asked_for_now_goes(count: int, reason: Reason) -> None:
    world = stories.tell(
        [
            dict(HOST),
            {
                "workspace": "alice",
                "spec": {"gpu": {"mode": "Exclusive"}},
                "gpus": ["GPU-1"],
                "container": "created",
            },
            {"edit": "alice", "spec": {"gpu": {"mode": "Exclusive", "count": count}}},
        ]
    )
    decision = world.plan().decisions["alice"]
    assert decision.reason is reason
    removed = [one for one in decision.actions if isinstance(one, RemoveContainer)]
    assert bool(removed) == (reason is Reason.GPU_RELEASED)
