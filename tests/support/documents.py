"""The documents of the published format as Python values, for tests to vary."""

import copy
from collections.abc import Mapping

WORKSPACE: Mapping[str, object] = {
    "apiVersion": "wharfinger.dev/v1",
    "kind": "Workspace",
    "metadata": {"name": "alice", "labels": {"project": "vision"}, "annotations": {}},
    "spec": {
        "owner": "alice",
        "class": "vm",
        "desiredState": "Running",
        "image": {"alias": "gpu-jupyter"},
        "command": ["sleep", "infinity"],
        "env": {"TZ": "Europe/Berlin"},
        "secrets": [{"name": "jupyter-token", "file": "alice/jupyter-token"}],
        "init": "Engine",
        "pull": "IfNotPresent",
        "resources": {
            "cpus": "8",
            "memory": "100g",
            "memoryReservation": "32g",
            "swap": "50g",
            "shm": "8g",
            "pids": 4096,
        },
        "gpu": {"mode": "Exclusive", "count": 1, "migProfile": "1g.10gb", "minMemory": "16g", "uuids": []},
        "mounts": [
            {
                "name": "home",
                "source": "/mnt/storage/homes/alice",
                "target": "/home/alice",
                "mode": "ReadWrite",
                "create": True,
                "required": True,
            }
        ],
        "services": [
            {"name": "ssh", "port": 22, "expose": "Port"},
            {"name": "jupyter", "port": 8888, "expose": "Port"},
            {"name": "code", "port": 8080, "expose": "Hostname"},
        ],
        "security": {"profile": "Standard", "runAs": "Owner"},
        "network": {"isolation": "Private"},
        "lifecycle": {"idleTimeout": "48h", "maxRuntime": None, "stopGrace": "60s", "changes": "WhenIdle"},
    },
}

POLICY: Mapping[str, object] = {
    "apiVersion": "wharfinger.dev/v1",
    "kind": "ResourcePolicy",
    "metadata": {"name": "lab"},
    "spec": {
        "defaultClass": "default",
        "defaults": {
            "resources": {"cpus": "8", "memory": "32g", "shm": "8g", "pids": 4096},
            "lifecycle": {"idleTimeout": "48h"},
            "priority": 10,
        },
        "quotas": {"workspaces": 3, "gpuEquivalents": "1"},
        "groups": {
            "students": {"members": ["alice", "bob"], "membersFile": "students.members", "priority": 10},
            "faculty": {
                "members": ["prof"],
                "resources": {"memory": "64g"},
                "lifecycle": {"idleTimeout": None},
                "quotas": {"gpuEquivalents": "2"},
                "aggregate": {"cpus": "96", "memory": "96g", "memoryHigh": "86g", "pids": 12288},
            },
        },
        "users": {
            "alice": {
                "quotas": {"gpuEquivalents": "2"},
                "reason": "thesis",
                "approvedBy": "prof",
                "expires": "2027-03-31T00:00:00Z",
            }
        },
        "classes": {
            "default": {},
            "vm": {
                "resources": {"memoryReservation": "32g", "memory": "100g", "swap": "50g"},
                "gpu": {"mode": "Shared"},
                "portProfile": "vm",
                "mounts": [
                    {
                        "name": "home",
                        "source": "/mnt/storage/homes/{owner}",
                        "target": "/home/{owner}",
                        "mode": "ReadWrite",
                        "create": True,
                        "required": True,
                    }
                ],
                "services": [
                    {"name": "ssh", "port": 22, "expose": "Port"},
                    {"name": "jupyter", "port": 8888, "expose": "Port"},
                ],
            },
        },
        "portPools": [
            {"name": "main", "from": 10000, "to": 19999, "block": 100, "bind": "0.0.0.0"},
            {"name": "ssh", "from": 2222, "to": 2321, "block": 1, "services": ["ssh"]},
        ],
        "mountRoots": ["/mnt/storage"],
        "requireCatalog": False,
    },
}

CATALOG: Mapping[str, object] = {
    "apiVersion": "wharfinger.dev/v1",
    "kind": "ImageCatalog",
    "metadata": {"name": "lab"},
    "spec": {
        "images": {
            "ml-cpu": {"reference": "python:3.11-slim", "digest": None, "gpu": False, "approved": True}
        }
    },
}


def changed(document: Mapping[str, object], path: str, value: object) -> dict[str, object]:
    """A copy of a document with one value, at a dotted path, replaced or added."""
    result = copy.deepcopy(dict(document))
    node: object = result
    *parents, last = path.split(".")
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node[part]  # type: ignore[index]
    if isinstance(node, list):
        node[int(last)] = value
    else:
        node[last] = value  # type: ignore[index]
    return result
