"""`wharf gc` on a real Engine: what nothing uses goes, and what anything uses stays, with its reason."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.cli.views import OFFLINE
from deploy.dev import image
from tests.support import dockerd as dockerd_support
from tests.support import process

LONG_AGO = 1_700_000_000


@pytest.fixture
def host(
    engine: dockerd_support.Dockerd, make_site: Callable[[dockerd_support.Dockerd], process.Site]
) -> Iterator[process.Site]:
    """A host whose disk is always too full, so that everything goes that nothing uses."""
    site = make_site(engine)
    site.configure(disk={"lowWatermark": 1, "highWatermark": 100})
    yield site
    site.close()
    engine.remove_everything()
    for row in engine.client().images("wharf-sample"):
        for tag in row["RepoTags"]:
            if ":gc-" in tag:
                engine.client().remove_image(tag)


def load(engine: dockerd_support.Dockerd, tag: str, *, young: bool = False) -> str:
    """An image of its own content that came long ago, or just now; its name."""
    docker: Any = engine.client()  # its published types are narrower than its answers
    name = image.name_of(tag)
    list(docker.load_image(image.build_archive(tag)))
    digits = docker.inspect_image(name)["Id"].removeprefix("sha256:")
    root = Path(docker.info()["DockerRootDir"])
    for entry in root.glob(f"image/*/imagedb/content/sha256/{digits}") if not young else ():
        os.utime(entry, (LONG_AGO, LONG_AGO))
    return name


def told(result: process.Result) -> dict[str, tuple[str, str]]:
    """What was said of each image by each of its names: what becomes of it, and why."""
    assert result.code == 0, result
    items = json.loads(result.out)["items"]
    return {name: (item["action"], item["reason"]) for item in items for name in item["references"]}


def test_what_nothing_uses_goes_and_a_kept_container_keeps_its_image(
    engine: dockerd_support.Dockerd, host: process.Site
) -> None:
    free, kept, young = load(engine, "gc-free"), load(engine, "gc-kept"), load(engine, "gc-young", young=True)
    engine.client().tag(free, "wharf-other", "gc-free")
    controller = host.run().ready()
    host.spec("kept", {"image": {"reference": kept}})
    controller.runs("kept")
    assert host.wharf("delete", "workspace", "kept").code == 0
    (container,) = engine.client().containers(all=True, filters={"label": "dev.wharfinger.workspace=kept"})

    before = told(host.wharf("gc", "--dry-run", "-o", "json"))
    assert before["wharf-other:gc-free"] == ("Remove", "nothing uses it")
    assert before[kept] == ("Keep", f"container {container['Names'][0].removeprefix('/')}")
    assert before[young] == ("Keep", "younger than an hour")
    assert before["wharf-sample:1"] == ("Keep", "catalog sample")

    done = host.wharf("gc", "-o", "json")
    after = told(done)
    assert after == {**before, **dict.fromkeys((free, "wharf-other:gc-free"), ("Removed", "nothing used it"))}
    assert "1 image removed" in done.err
    tags = {tag for row in engine.client().images() for tag in row["RepoTags"] or ()}
    assert {kept, young, "wharf-sample:1"} <= tags
    assert not tags & {free, "wharf-other:gc-free"}
    controller.said("action", action="remove_image", result="success")

    load(engine, "gc-free")
    controller.stop()
    alone = host.wharf("gc", "--dry-run", "-o", "json")
    assert told(alone)[free] == ("Remove", "nothing uses it")
    assert OFFLINE in alone.err
