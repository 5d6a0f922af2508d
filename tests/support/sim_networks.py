"""Knows how the simulated Engine ties containers to networks: what it answers, and what it tells of it.

It refuses to route a packet: an address is a text.
"""

import itertools
from typing import TYPE_CHECKING, Any

from controller.engine import transport
from controller.engine.transport import Answer
from tests.support.sim_container import SimContainer

if TYPE_CHECKING:
    from tests.support.sim_engine import SimEngine

FIRST_ADDRESS = 2


def error(status: int, message: str) -> Answer:
    return Answer(status, {"message": message})


def refuse(engine: "SimEngine", container: SimContainer) -> Answer | None:
    """What a start says of networks that are gone."""
    gone = [name for name in container.networks if name not in engine.networks]
    return error(404, f"network {gone[0]} not found") if gone else None


def refuse_first(engine: "SimEngine", container: SimContainer) -> bool:
    """Whether no network is tied before one that is gone."""
    return not any(name in engine.networks for name in container.networks)


def tied(endpoint: dict[str, Any]) -> bool:
    """Whether an endpoint is in use."""
    return bool(endpoint["IPAddress"])


def give_addresses(engine: "SimEngine", container: SimContainer) -> None:
    """Reserve an address in each network, and tell nobody."""
    for name in container.networks:
        network_id = engine.networks[name]["Id"]
        container.networks[name] = {"NetworkID": network_id, "IPAddress": _free_address(engine, name)}


def attach(engine: "SimEngine", container: SimContainer) -> None:
    """Give a container that starts an address in each of its networks."""
    for name in container.networks:
        _attach(engine, container, name)


def _attach(engine: "SimEngine", container: SimContainer, name: str) -> None:
    network = engine.networks[name]
    container.networks[name] = {"NetworkID": network["Id"], "IPAddress": _free_address(engine, name)}
    _publish(engine, network, "connect", container)


def _free_address(engine: "SimEngine", name: str) -> str:
    taken = {item.networks.get(name, {}).get("IPAddress") for item in engine.containers.values()}
    addresses = (f"172.28.{number // 256}.{number % 256}" for number in itertools.count(FIRST_ADDRESS))
    return next(address for address in addresses if address not in taken)


def detach(engine: "SimEngine", container: SimContainer) -> None:
    """Take the addresses of a container that ended."""
    for name, endpoint in container.networks.items():
        if tied(endpoint) and name in engine.networks:
            container.networks[name] = {**endpoint, "IPAddress": ""}
            _publish(engine, engine.networks[name], "disconnect", container)


def forget(container: SimContainer) -> None:
    """Lose all addresses, and tell nobody."""
    for name, endpoint in container.networks.items():
        container.networks[name] = {**endpoint, "IPAddress": ""}


def _publish(engine: "SimEngine", network: dict[str, Any], action: str, container: SimContainer) -> None:
    attributes = {"name": network["Name"], "type": network["Driver"], "container": container.id}
    engine.events.publish("network", action, network["Id"], attributes)


def connect(engine: "SimEngine", request: transport.Request, name: str) -> Answer:
    """Only what runs is tied at once; to what does not run, any name will do."""
    body = request.body or {}
    container = engine.find(body["Container"])
    if container is None:
        return error(404, f"No such container: {body['Container']}")
    if not container.running:
        network_id = engine.networks.get(name, {}).get("Id", "")
        container.networks[name] = {"NetworkID": network_id, "IPAddress": ""}
    elif name not in engine.networks:
        return error(404, f"network {name} not found")
    elif name in container.networks:
        return error(403, f"endpoint with name {container.name} already exists in network {name}")
    else:
        _attach(engine, container, name)
    engine.checkpoint(container)
    return Answer(200, None)


def disconnect(engine: "SimEngine", request: transport.Request, name: str) -> Answer:
    """Untie; of what does not run it is a note that is taken away. Of what runs it is told twice."""
    body = request.body or {}
    container = engine.find(body["Container"])
    network = engine.networks.get(name)
    if container is None:
        return error(404, f"No such container: {body['Container']}")
    if container.running and network is None:
        return error(404, f"network {name} not found")
    if name not in container.networks:
        article = "" if container.running else "the "
        return error(500, f"container {container.id} is not connected to {article}network {name}")
    del container.networks[name]
    if network is not None:
        for _ in range(1 + container.running):
            _publish(engine, network, "disconnect", container)
    engine.checkpoint(container)
    return Answer(200, None)


def remove(engine: "SimEngine", request: transport.Request, name: str) -> Answer:
    """Only a network in which nothing runs goes."""
    network = engine.networks.get(name)
    if network is None:
        return error(404, f"network {name} not found")
    if any(tied(item.networks[name]) for item in engine.containers.values() if name in item.networks):
        text = f"network {name} id {network['Id']} has active endpoints"
        return error(403, f"error while removing network: {text}")
    del engine.networks[name]
    engine.events.publish("network", "destroy", network["Id"], {"name": name})
    return Answer(204, None)
