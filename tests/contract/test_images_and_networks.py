"""How an Engine tells about images and networks, and how a pull fails."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from controller.api.conditions import Reason
from controller.engine import calls
from controller.model import actions, errors, outcomes
from controller.model.images import ImageStore
from controller.sources import counting
from tests.contract import backends
from tests.contract.backends import Backend, row
from tests.support.sim_container import SimImage

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
DIGEST = "sha256:" + "ab" * 32
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": 2,
            "digest": DIGEST,
        },
        "layers": [],
    }
).encode()


class _EmptyRegistry(BaseHTTPRequestHandler):
    """A registry that has a manifest and none of what it names."""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        digest = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
        manifests = dict.fromkeys((f"/v2/lab/broken/manifests/{tag}" for tag in ("1", digest)), MANIFEST)
        known = {"/v2/": b"{}", **manifests}
        body = known.get(self.path)
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", MANIFEST_TYPE if "manifests" in self.path else "application/json")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if with_body:
            self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def empty_registry(backend: Backend) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _EmptyRegistry)
    address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    if isinstance(backend.world, backends.SimWorld):
        backend.world.engine.registry[f"{address}/lab/broken:1"] = SimImage("")
    try:
        yield address
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def test_a_reference_is_split_as_the_engine_wants_it() -> None:
    assert calls.split_reference("debian") == ("debian", "latest")
    assert calls.split_reference("host:5000/lab/x") == ("host:5000/lab/x", "latest")
    assert calls.split_reference("host:5000/lab/x:1") == ("host:5000/lab/x", "1")
    assert calls.split_reference(f"lab/x:1@{DIGEST}") == ("lab/x", DIGEST)


@row("AP17")
def test_a_pull_fails_inside_a_stream_that_began_well(backend: Backend) -> None:
    seen: list[str] = []
    with empty_registry(backend) as address, pytest.raises(errors.Retryable) as caught:
        backend.client.pull(f"{address}/lab/broken:1", lambda line: seen.append(str(line["status"])))
    assert caught.value.reason is Reason.IMAGE_UNAVAILABLE
    assert seen[0].startswith("Pulling from ")
    assert backend.client.inspect_image(f"{address}/lab/broken:1") is None


@row("AP17")
def test_a_pull_of_what_the_registry_lacks_fails(backend: Backend) -> None:
    with empty_registry(backend) as address, pytest.raises(errors.Retryable) as caught:
        backend.client.pull(f"{address}/lab/nothing:1")
    assert caught.value.reason is Reason.IMAGE_UNAVAILABLE


@row("AP17")
def test_a_create_from_an_absent_image_says_so(backend: Backend) -> None:
    answer = backend.call("POST", "/containers/create", {"Image": "lab/nothing:1"}, name="box")
    assert (answer.status, answer.message) == (404, "No such image: lab/nothing:1")


@row("RIG-image")
def test_an_image_is_found_by_reference_and_by_id(backend: Backend) -> None:
    found = backend.client.inspect_image(backends.IMAGE)
    assert found is not None
    again = backend.client.inspect_image(found["Id"])
    assert again is not None
    assert again["Config"] == found["Config"]
    assert found["Config"]["Cmd"][0] == "/bin/httpd"
    assert backend.client.inspect_image("lab/nothing:1") is None


@row("RIG-image")
def test_a_container_has_its_image_s_environment_command_and_labels(backend: Backend) -> None:
    box = backend.client.create_container("box", {"Image": backends.IMAGE, "Env": ["A=b"]})
    config = backend.inspect(box)["Config"]
    assert "A=b" in config["Env"]
    assert any(item.startswith("PATH=") for item in config["Env"])
    assert config["Cmd"][0] == "/bin/httpd"
    assert config["Labels"] == {"sample": "1"}


@row("RIG-image")
def test_an_own_value_takes_the_place_of_the_image_s(backend: Backend) -> None:
    box = backend.create("box", Env=["PATH=/mine"], Labels={"sample": "mine"})
    config = backend.inspect(box)["Config"]
    assert [item for item in config["Env"] if item.startswith("PATH=")] == ["PATH=/mine"]
    assert config["Labels"] == {"sample": "mine"}


@row("RIG-network")
def test_a_network_s_name_can_be_taken_once(backend: Backend) -> None:
    body = {"Name": "wharf", "Driver": "bridge", "CheckDuplicate": True, "IPAM": subnet(backend)}
    backend.client.create_network(body)
    answer = backend.call("POST", "/networks/create", body)
    assert (answer.status, answer.message) == (409, "network with name wharf already exists")


@row("RIG-network")
def test_a_subnet_can_be_taken_once(backend: Backend) -> None:
    backend.client.create_network({"Name": "wharf", "Driver": "bridge", "IPAM": subnet(backend)})
    with pytest.raises(errors.Terminal) as caught:
        backend.client.create_network({"Name": "other", "Driver": "bridge", "IPAM": subnet(backend)})
    assert caught.value.reason is Reason.NETWORK_UNUSABLE


@row("RIG-network")
def test_a_container_for_a_network_that_is_not_there_is_created_and_not_started(backend: Backend) -> None:
    box = backend.create("box", HostConfig={"NetworkMode": "nowhere"})
    with pytest.raises(errors.Retryable) as caught:
        backend.client.start(box)
    assert caught.value.reason is Reason.NETWORK_PENDING
    assert backend.status(box) == "created"


@row("RIG-network")
def test_a_second_connection_to_a_network_is_refused_in_known_words(backend: Backend) -> None:
    backend.client.create_network({"Name": "wharf", "Driver": "bridge", "IPAM": subnet(backend)})
    box = backend.run("box")
    backend.client.connect_network("wharf", box)
    answer = backend.call("POST", "/networks/wharf/connect", {"Container": box})
    assert (answer.status, answer.message) == (403, "endpoint with name box already exists in network wharf")
    assert set(backend.inspect(box)["NetworkSettings"]["Networks"]) == {"bridge", "wharf"}


@row("RIG-network")
def test_the_list_shows_the_networks_of_a_container(backend: Backend) -> None:
    backend.client.create_network({"Name": "wharf", "Driver": "bridge", "IPAM": subnet(backend)})
    network = backend.client.inspect_network("wharf")
    assert network is not None
    box = backend.run("box", HostConfig={"NetworkMode": "wharf"})
    listed = backend.listed(box)
    assert listed is not None
    networks = listed["NetworkSettings"]["Networks"]
    assert {name: item["NetworkID"] for name, item in networks.items()} == {"wharf": network["Id"]}
    assert networks["wharf"]["IPAddress"]


def subnet(backend: Backend) -> dict[str, object]:
    return {"Config": [{"Subnet": backend.world.subnet}]}


def tagged(backend: Backend, *names: str) -> str:
    """An image of the test's own that only these names lead to; its id."""
    if isinstance(backend.world, backends.SimWorld):
        image = SimImage("sha256:" + backend.world.engine.new_id())
        for name in names:
            backend.world.engine.add_image(name, image)
        return image.id
    maker = backend.create("maker")
    answer = backend.call("POST", "/commit", {}, container=maker, comment=names[0], repo="wharf-own", tag="0")
    backend.client.remove(maker)
    for name in names:
        repository, _, tag = name.rpartition(":")
        assert backend.call("POST", "/images/wharf-own:0/tag", repo=repository, tag=tag).status == 201
    backend.client.remove_image("wharf-own:0")
    return str(answer.body["Id"])


def names_of(backend: Backend, image_id: str) -> set[str] | None:
    """Its tags in the list of images; None if it is not listed."""
    row = next((row for row in backend.client.list_images() if row["Id"] == image_id), None)
    return None if row is None else set(row["RepoTags"] or ())


def test_with_its_last_name_an_image_goes_and_what_it_was_built_on_stays(backend: Backend) -> None:
    base = backend.client.inspect_image(backends.IMAGE)
    assert base is not None
    own = tagged(backend, "wharf-one:1", "wharf-two:1")
    assert names_of(backend, own) == {"wharf-one:1", "wharf-two:1"}
    refused = backend.call("DELETE", f"/images/{own}", force="false", noprune="true")
    assert (refused.status, "referenced in multiple repositories" in refused.message) == (409, True)
    backend.client.remove_image("wharf-one:1")
    assert names_of(backend, own) == {"wharf-two:1"}
    backend.client.remove_image("wharf-two:1")
    assert names_of(backend, own) is None
    assert names_of(backend, base["Id"]) is not None
    gone = backend.call("DELETE", "/images/wharf-two:1", force="false", noprune="true")
    assert (gone.status, "No such image" in gone.message) == (404, True)


def test_the_last_name_of_an_image_stays_while_a_container_is_made_from_it(backend: Backend) -> None:
    own = tagged(backend, "wharf-held:1")
    container = backend.create("holds", Image="wharf-held:1")
    try:
        with pytest.raises(errors.Retryable) as caught:
            backend.client.remove_image("wharf-held:1")
        assert caught.value.reason is Reason.REFUSED_BY_ENGINE
        assert "is using its referenced image" in caught.value.message
        by_id = backend.call("DELETE", f"/images/{own}", force="false", noprune="true")
        assert (by_id.status, "stopped container" in by_id.message) == (409, True)
        assert names_of(backend, own) == {"wharf-held:1"}
    finally:
        backend.client.remove(container)
        backend.client.remove_image("wharf-held:1")


def test_an_image_is_removed_as_it_was_seen_or_not_at_all(backend: Backend) -> None:
    own = tagged(backend, "wharf-one:1", "wharf-two:1")
    remove = actions.RemoveImage(own, ("wharf-one:1", "wharf-two:1"))
    other = backend.executor.execute(actions.RemoveImage(own, ("wharf-one:1",)))
    assert isinstance(other, outcomes.Skipped)
    container = backend.create("holds", Image="wharf-two:1")
    held = backend.executor.execute(remove)
    assert isinstance(held, outcomes.Failed)
    assert (held.reason, "holds" in held.message) == (Reason.REFUSED_BY_ENGINE, True)
    assert names_of(backend, own) == {"wharf-one:1", "wharf-two:1"}
    backend.client.remove(container)
    done = backend.executor.execute(remove)
    assert isinstance(done, outcomes.Succeeded)
    assert not done.already
    assert names_of(backend, own) is None
    again = backend.executor.execute(remove)
    assert isinstance(again, outcomes.Succeeded)
    assert again.already


def test_a_look_at_all_images_tells_who_uses_which(backend: Backend) -> None:
    own = tagged(backend, "wharf-held:1")
    container = backend.create("holds", Image="wharf-held:1")
    store = backend.observer().images(["wharf-held:1", own, "nowhere:1"], backend.world.now())
    assert isinstance(store, ImageStore)
    assert store.users == {own: "holds"}
    assert store.meant == {"wharf-held:1": own, own: own, "nowhere:1": None}
    assert store.images[own].references == ("wharf-held:1",)
    assert store.images[own].name == "wharf-held:1"
    backend.client.remove(container)
    backend.client.remove_image("wharf-held:1")


def test_the_bytes_of_a_layer_and_the_path_of_a_log_are_told_at_once(backend: Backend) -> None:
    container = backend.run("writes", ["/bin/sh", "-c", "dd if=/dev/zero of=/big bs=1k count=500; sleep 600"])
    told = backend.client.layer_and_log(container)
    assert told is not None
    if isinstance(backend.world, backends.RealWorld):
        backends.until(lambda: (backend.client.layer_and_log(container) or (0, ""))[0] >= 500 << 10)
        assert counting.of_log(told[1]) >= 0
    assert backend.client.layer_and_log("f" * 64) is None
    backend.client.stop(container, timedelta(0))
    backend.client.remove(container)
