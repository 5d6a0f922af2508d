"""Knows what the simulated Engine answers: status and text of each call, as Engine 20.10 words them.

It refuses to keep anything: the world is sim_engine's.
"""

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from controller.engine import transport
from controller.engine.transport import Answer
from tests.support import (
    sim_cgroups,
    sim_gpus,
    sim_images,
    sim_networks,
    sim_removals,
    sim_security,
    sim_signals,
    sim_updates,
)
from tests.support.sim_container import SimContainer

if TYPE_CHECKING:
    from tests.support.sim_engine import SimEngine

DONE = Answer(204, None)
NOT_MODIFIED = Answer(304, None)
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def error(status: int, message: str) -> Answer:
    return Answer(status, {"message": message})


def answer(engine: "SimEngine", request: transport.Request) -> Answer:
    """The answer to one request."""
    for method, pattern, route in ROUTES:
        match = re.fullmatch(pattern, request.path)
        if match and method == request.method:
            return route(engine, request, *(unquote(group) for group in match.groups()))
    return error(404, "page not found")


def _list(engine: "SimEngine", request: transport.Request) -> Answer:
    every = request.query.get("all") in {"1", "true"}
    wanted = json.loads(request.query.get("filters", "{}")).get("label", [])
    rows = [row for row in engine.rows() if every or row["State"] in {"running", "paused"}]
    return Answer(200, [row for row in rows if all(_is_labelled(row, one) for one in wanted)])


def _is_labelled(row: dict[str, Any], wanted: str) -> bool:
    name, _, value = wanted.partition("=")
    return name in row["Labels"] and value in {"", row["Labels"][name]}


def _inspect(engine: "SimEngine", request: transport.Request, name: str) -> Answer:
    container = engine.find(name)
    if container is None:
        return error(404, f"No such container: {name}")
    if container.id in engine.stuck:
        raise transport.UnansweredError(transport.Silence.TIMEOUT, "timed out")
    return Answer(200, container.inspect())


def _create(engine: "SimEngine", request: transport.Request) -> Answer:
    body: dict[str, Any] = dict(request.body or {})
    name = request.query["name"]
    host = dict(body.get("HostConfig") or {})
    refusal = _refuse_mounts(engine, host) or sim_updates.refuse_policy(host)
    refusal = refusal or sim_security.refuse(engine, host) or sim_updates.refuse_numbers(engine, host)
    refusal = refusal or sim_cgroups.refuse(engine, host)
    if refusal is not None:
        return refusal
    image = engine.find_image(body["Image"])
    if image is None:
        return error(404, f"No such image: {body['Image']}")
    if not NAME.fullmatch(name):
        return error(400, _unfit(name))
    holder = next((item for item in engine.containers.values() if item.name == name), None)
    if holder is not None:
        return error(409, _taken(name, holder))
    container_id = engine.new_id()
    if host.get("Memory") and not host.get("MemorySwap"):
        host["MemorySwap"] = 2 * host["Memory"]
    host.setdefault("ShmSize", 64 * 2**20)
    host.setdefault("NetworkMode", "default")
    host.setdefault("CgroupParent", "")
    sim_security.complete(engine, host)
    sim_gpus.complete(host)
    host.setdefault("RestartPolicy", {"Name": "", "MaximumRetryCount": 0})
    given = body.get("Env") or []
    names = {item.partition("=")[0] for item in given}
    config = {
        "Image": body["Image"],
        "Hostname": body.get("Hostname") or container_id[:12],
        "User": body.get("User") or image.user,
        "Env": [*given, *(item for item in image.env if item.partition("=")[0] not in names)],
        "Cmd": body.get("Cmd") or list(image.command),
        "Labels": {**image.labels, **(body.get("Labels") or {})},
        "StopTimeout": body.get("StopTimeout", 10),
    }
    container = SimContainer(container_id, name, image.id, config, host, {}, engine.clock())
    mode = host["NetworkMode"]
    wanted = "bridge" if mode == "default" else mode
    network_id = engine.networks[wanted]["Id"] if wanted in engine.networks else ""
    container.networks[wanted] = {"NetworkID": network_id, "IPAddress": ""}
    engine.containers[container_id] = container
    engine.publish(container, "create")
    engine.checkpoint(container)
    return Answer(201, {"Id": container_id, "Warnings": []})


def _taken(name: str, holder: SimContainer) -> str:
    return (
        f'Conflict. The container name "/{name}" is already in use by container "{holder.id}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )


def _unfit(name: str) -> str:
    return f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"


def _refuse_mounts(engine: "SimEngine", host: dict[str, Any]) -> Answer | None:
    for mount in host.get("Mounts") or []:
        if mount["Source"] in engine.missing_paths:
            text = 'invalid mount config for type "bind": bind source path does not exist: '
            return error(400, text + mount["Source"])
    return None


def _with_container(
    act: Callable[["SimEngine", transport.Request, SimContainer], Answer],
) -> Callable[..., Answer]:
    def route(engine: "SimEngine", request: transport.Request, name: str) -> Answer:
        container = engine.find(name)
        return (
            error(404, f"No such container: {name}") if container is None else act(engine, request, container)
        )

    return route


def _start(engine: "SimEngine", request: transport.Request, container: SimContainer) -> Answer:
    if container.status == "paused":
        return error(409, "cannot start a paused container, try unpause instead")
    if container.removing:
        return error(409, "container is marked for removal and cannot be started")
    if container.running:
        return NOT_MODIFIED
    refusal = _refuse_mounts(engine, container.host_config)
    return refusal or _launch(engine, container)


def _launch(engine: "SimEngine", container: SimContainer) -> Answer:
    container.either = tuple(_refuse_ties(engine, container))
    if container.either:
        return _fail_start(engine, container, container.either[0])
    sim_networks.attach(engine, container)
    refusal = sim_gpus.refuse(engine, container) or sim_security.refuse_start(engine, container.host_config)
    if refusal is not None:
        return _fail_start(engine, container, refusal)
    refusal = _refuse_program(engine, container)
    if refusal is not None:
        container.exit_code = 127
        return _fail_start(engine, container, refusal)
    sim_updates.run(engine, container)
    if container.arguments[0] in {"/bin/true", "/bin/false"}:
        engine.end(container, 0 if container.arguments[0] == "/bin/true" else 1)
    return DONE


def _refuse_ties(engine: "SimEngine", container: SimContainer) -> list[Answer]:
    """What may be answered: the Engine takes its own bridge first, and the others in any order."""
    gone = sim_networks.refuse(engine, container)
    if gone is None:
        sim_networks.give_addresses(engine, container)
    first = sim_networks.refuse_first(engine, container)
    ports = None if first else _refuse_ports(engine, container)
    refusals = [refusal for refusal in (gone, ports) if refusal is not None]
    return refusals[-1:] if "bridge" in container.networks else refusals


def _fail_start(engine: "SimEngine", container: SimContainer, refusal: Answer) -> Answer:
    """The list is written before the networks are taken back: it goes on showing their addresses."""
    container.error = refusal.message
    container.exit_code = container.exit_code or 128
    engine.checkpoint(container)
    sim_networks.detach(engine, container)
    return refusal


def _refuse_ports(engine: "SimEngine", container: SimContainer) -> Answer | None:
    wanted = container.host_ports()
    prefix = f"driver failed programming external connectivity on endpoint {container.name} (0123): "
    for port in sorted(wanted.keys() & engine.host_ports):
        text = (
            f"Error starting userland proxy: listen tcp4 {wanted[port]}:{port}: bind: address already in use"
        )
        return error(500, prefix + text)
    for other in engine.containers.values():
        for port in sorted(wanted.keys() & other.host_ports().keys() if other.running else ()):
            return error(500, f"{prefix}Bind for {wanted[port]}:{port} failed: port is already allocated")
    return None


def _refuse_program(engine: "SimEngine", container: SimContainer) -> Answer | None:
    image = engine.find_image(container.image_id)
    program = container.arguments[0]
    if image is None or program in image.programs:
        return None
    text = (
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to start "
        f'container process: exec: "{program}": stat {program}: no such file or directory: unknown'
    )
    return error(400, text)


def _pause(engine: "SimEngine", request: transport.Request, container: SimContainer) -> Answer:
    if not container.running:
        return error(409, f"Container {container.id} is not running")
    if container.status == "paused":
        return error(409, f"Container {container.id} is already paused")
    container.status = "paused"
    engine.publish(container, "pause")
    engine.checkpoint(container)
    return DONE


def _unpause(engine: "SimEngine", request: transport.Request, container: SimContainer) -> Answer:
    if container.status != "paused":
        return error(500, f"Container {container.id} is not paused")
    sim_signals.thaw(engine, container)
    return DONE


def _restart(engine: "SimEngine", request: transport.Request, container: SimContainer) -> Answer:
    sim_signals.stop(engine, request, container)
    answer = _start(engine, request, container)
    if answer.status >= HTTPStatus.BAD_REQUEST:
        return error(500, f"Cannot restart container {_named(request)}: {answer.message}")
    engine.publish(container, "restart")
    return answer


def _named(request: transport.Request) -> str:
    return unquote(request.path.split("/")[2])


def _rename(engine: "SimEngine", request: transport.Request, container: SimContainer) -> Answer:
    name = request.query["name"].removeprefix("/")
    if name == container.name:
        return error(400, "Renaming a container with the same name as its current name")
    if not NAME.fullmatch(name):
        return error(400, "Error when allocating new name: " + _unfit(f"/{name}"))
    holder = next((item for item in engine.containers.values() if item.name == name), None)
    if holder is not None:
        return error(409, "Error when allocating new name: " + _taken(name, holder))
    old, container.name = container.name, name
    engine.publish(container, "rename", oldName=f"/{old}")
    engine.checkpoint(container)
    return DONE


def _rename_to(engine: "SimEngine", request: transport.Request, name: str) -> Answer:
    if not request.query["name"]:
        return error(400, "Neither old nor new names may be empty")
    return _with_container(_rename)(engine, request, name)


def _remove(engine: "SimEngine", request: transport.Request, container: SimContainer) -> Answer:
    if container.removing:
        return error(409, f"removal of container {container.id} is already in progress")
    force = request.query.get("force") in {"1", "true"}
    if container.running and not force:
        text = f"You cannot remove a {container.status} container {container.id}. "
        advice = "Stop the container before attempting removal or force remove"
        if container.status == "paused":
            advice = f"Unpause and then {advice.lower()}"
        return error(409, text + advice)
    if container.running:
        sim_signals.send(engine, container, sim_signals.KILL)
    del engine.containers[container.id]
    engine.publish(container, "destroy")
    return DONE


def _network(engine: "SimEngine", request: transport.Request, name: str) -> Answer:
    network = engine.networks.get(name)
    return error(404, f"network {name} not found") if network is None else Answer(200, dict(network))


def _create_network(engine: "SimEngine", request: transport.Request) -> Answer:
    body = dict(request.body or {})
    if body["Name"] in engine.networks:
        return error(409, f"network with name {body['Name']} already exists")
    subnets = {item.get("Subnet") for item in (body.get("IPAM") or {}).get("Config") or []}
    for network in engine.networks.values():
        if subnets & {item.get("Subnet") for item in network["IPAM"].get("Config") or []}:
            return error(403, "Pool overlaps with other one on this address space")
    return Answer(201, {"Id": engine.add_network(body["Name"], body)["Id"], "Warning": ""})


def _image(engine: "SimEngine", request: transport.Request, reference: str) -> Answer:
    image = engine.find_image(reference)
    if image is None:
        return error(404, f"no such image: {reference}: No such image: {reference}")
    return Answer(200, sim_images.inspect(engine, image))


CONTAINER = r"/containers/([^/]+)"
ROUTES: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
    ("GET", r"/_ping", lambda _engine, _request: Answer(200, "OK")),
    ("GET", r"/info", lambda engine, _request: Answer(200, engine.info())),
    ("GET", r"/containers/json", _list),
    ("POST", r"/containers/create", _create),
    ("GET", CONTAINER + "/json", _inspect),
    ("POST", CONTAINER + "/start", _with_container(_start)),
    ("POST", CONTAINER + "/stop", _with_container(sim_signals.stop)),
    ("POST", CONTAINER + "/kill", sim_signals.kill),
    ("POST", CONTAINER + "/restart", _with_container(_restart)),
    ("POST", CONTAINER + "/pause", _with_container(_pause)),
    ("POST", CONTAINER + "/unpause", _with_container(_unpause)),
    ("POST", CONTAINER + "/rename", _rename_to),
    ("POST", CONTAINER + "/update", _with_container(sim_updates.update)),
    ("DELETE", CONTAINER, _with_container(_remove)),
    ("GET", r"/networks/([^/]+)", _network),
    ("POST", r"/networks/create", _create_network),
    ("POST", r"/networks/([^/]+)/connect", sim_networks.connect),
    ("POST", r"/networks/([^/]+)/disconnect", sim_networks.disconnect),
    ("DELETE", r"/networks/([^/]+)", sim_networks.remove),
    ("GET", r"/images/json", sim_removals.listed),
    ("GET", r"/images/(.+)/json", _image),
    ("DELETE", r"/images/(.+)", sim_removals.remove),
)
