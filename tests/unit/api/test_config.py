"""What the controller's configuration may say."""

import datetime as dt

import pydantic
import pytest

from controller.api import config

GPU = {"uuid": "x-0", "cdi": "vendor.example/gpu=0", "product": "X", "memory": "16g"}


def test_an_empty_configuration_has_the_published_defaults() -> None:
    assert config.ControllerConfig().model_dump(mode="json") == {
        "apiVersion": "wharfinger.dev/v1",
        "kind": "ControllerConfig",
        "mode": "Enforce",
        "specDir": "workspaces.d",
        "policyFile": "policy.yaml",
        "imageCatalogFile": "images.yaml",
        "secretsDir": "secrets",
        "stateDir": "/var/lib/wharfinger",
        "runtimeDir": "/run/wharfinger",
        "resyncInterval": "15s",
        "inspectInterval": "5m",
        "settle": "300ms",
        "docker": {"host": "unix:///var/run/docker.sock", "requestTimeout": "1m", "workers": 4},
        "network": {"subnet": "172.28.0.0/16", "advertiseAddress": None},
        "metrics": {"listen": "127.0.0.1:9464"},
        "gpus": {"source": "Nvml", "attach": "Auto", "inventory": [], "monitors": [], "cleanAfter": "10m"},
        "slices": {"driver": "Auto", "root": "wharf"},
        "safety": {
            "maxDisruptionsPerMinute": 1,
            "maxDisruptionsPercent": 10,
            "deletionGrace": "10s",
            "retainReplaced": "72h",
        },
        "disk": {"highWatermark": 90, "lowWatermark": 80},
        "proxy": {"directory": None},
        "log": {"format": "Auto", "level": "info"},
    }


def test_the_defaults_would_be_accepted_if_they_were_written() -> None:
    written = config.ControllerConfig().model_dump(mode="json")
    assert config.ControllerConfig.model_validate(written) == config.ControllerConfig()


def test_a_written_inventory_is_that_of_a_static_source() -> None:
    value = config.ControllerConfig.model_validate({"gpus": {"source": "Static", "inventory": [GPU]}})
    assert value.gpus.inventory[0].memory == 16 * 2**30


def test_durations_are_lengths_of_time() -> None:
    value = config.ControllerConfig.model_validate({"resyncInterval": "1m30s"})
    assert value.resync_interval == dt.timedelta(seconds=90)


@pytest.mark.parametrize(
    ("written", "needed"),
    [
        ({"resyncInterval": 15}, 'write "15s"'),
        ({"resyncInterval": "0s"}, 'from "1s" to "1h"'),
        ({"settle": "2m"}, 'from "0s" to "1m"'),
        ({"docker": {"workers": 0}}, "greater than or equal to 1"),
        ({"docker": {"host": "/var/run/docker.sock"}}, "unix:///var/run/docker.sock"),
        ({"network": {"subnet": "172.28.0.1/16"}}, "not an IPv4 subnet"),
        ({"network": {"subnet": "172.28.0.0/30"}}, "too few addresses"),
        ({"metrics": {"listen": "9464"}}, "127.0.0.1:9464"),
        ({"gpus": {"source": "Static"}}, "belong together"),
        ({"gpus": {"inventory": [GPU]}}, "belong together"),
        ({"gpus": {"source": "Static", "inventory": [GPU, GPU]}}, "one uuid"),
        ({"slices": {"root": "a-b"}}, "lower-case letters"),
        ({"slices": {"root": "system"}}, "somebody else's"),
        ({"slices": {"root": "docker"}}, "somebody else's"),
        ({"safety": {"maxDisruptionsPercent": 101}}, "less than or equal to 100"),
        ({"mode": "observe"}, "'Enforce' or 'Observe'"),
        ({"specdir": "x"}, "not permitted"),
        ({"specDir": None}, "found null"),
    ],
)
def test_a_broken_rule_is_refused_with_what_to_write(written: dict[str, object], needed: str) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        config.ControllerConfig.model_validate(written)
    assert needed in str(caught.value)
