"""Knows a site of many people: a policy with groups, exceptions and grants, and their workspaces.

It refuses chance: the same numbers give the same people.
"""

from collections.abc import Iterator

from controller.model.desired import AcceptedPolicy, AcceptedSpec
from tests.support import builders

PLACES = ("student", "teacher")


def logins(people: int) -> list[str]:
    """So many login names."""
    return [f"u{number:04}" for number in range(people)]


def policy(people: int) -> AcceptedPolicy:
    """A policy in which half are in each of two groups, each tenth has an exception and each 50th a grant."""
    names = logins(people)
    grant = {"reason": "thesis", "approvedBy": "prof", "expires": "2027-03-31T00:00:00Z"}
    home = {"name": "home", "source": "/mnt/storage/homes/{owner}", "target": "/home/{owner}", "create": True}
    return builders.policy(
        defaultClass="vm",
        defaults={
            "resources": {"cpus": "8", "memory": "32g", "shm": "8g", "pids": 4096},
            "lifecycle": {"idleTimeout": "48h"},
            "priority": 10,
        },
        quotas={"workspaces": 3, "gpuEquivalents": "1", "memory": "64g", "cpus": "32"},
        groups={
            "students": {"members": names[::2], "priority": 20},
            "teachers": {"members": names[1::2], "resources": {"memory": "48g"}, "quotas": {"memory": None}},
        },
        users={name: {"resources": {"memory": "24g"}, "quotas": {"memory": "96g"}} for name in names[::10]},
        grants=[
            {**grant, "name": f"for-{name}", "users": [name], "resources": {"memory": "128g"}}
            for name in names[::50]
        ],
        classes={
            "vm": {
                "image": {"reference": builders.IMAGE},
                "resources": {"memory": "100g", "memoryReservation": "32g", "swap": "50g"},
                "env": {"LANG": "C.UTF-8", "WORKSPACE": "{name}"},
                "portProfile": "vm",
                "mounts": [home],
                "services": [{"name": "ssh", "port": 22}, {"name": "jupyter", "port": 8888}],
            }
        },
    )


def workspaces(people: int, each: int) -> Iterator[AcceptedSpec]:
    """So many workspaces of each, with a word of their own on memory, a variable and a service."""
    for name in logins(people):
        for number in range(each):
            yield builders.accepted(
                f"{name}-{number}",
                owner=name,
                resources={"memory": f"{4 + number}g"},
                env={"SHIFT": str(number)},
                services=[{"name": "web", "port": 80}],
            )
