"""Knows how the adapters of one host are put together, from the configuration alone.

Refuses to start a thread, to open the ledger and to run a pass: `manager` does.
"""

import os
import time
from collections.abc import Callable
from datetime import datetime

from controller.activity import listening
from controller.api.config import GpuSource
from controller.engine import calls as engine_calls
from controller.engine import client as engine_client
from controller.engine import inquiries as engine_inquiries
from controller.engine import observer as engine_observer
from controller.gpus.canary import Canary
from controller.gpus.looker import Looker
from controller.gpus.processes import Processes
from controller.gpus.room import Room
from controller.gpus.static import Static
from controller.ledger import schema as ledger_schema
from controller.planning.budget import Budget
from controller.planning.case import Rules
from controller.planning.planner import Planner
from controller.reconciler import Reconciler, Setup
from controller.settings import Settings
from controller.slices import limits
from controller.sources import directory, disks, host, names, policies
from controller.surroundings import Crew, Engine, Surroundings
from controller.surroundings import Ledger as LedgerPort

NONCE_BYTES = 32


def connect(settings: Settings, on_request: engine_client.OnRequest) -> engine_calls.EngineClient:
    """Return a client of the configured Engine; `on_request` is told of each of its requests."""
    docker = settings.config.docker
    return engine_client.connect(docker.host, docker.request_timeout, on_request)


def gpus(
    settings: Settings,
    clock: Callable[[], datetime],
    on_change: Callable[[], None] = lambda: None,
    heartbeat: Callable[[], None] = lambda: None,
) -> Room | Static:
    """Return who looks at the GPUs, from where the configuration says they are; nothing is begun."""
    config = settings.config.gpus
    canary = Canary(settings.runtime_dir, clock, on_change)
    if config.source is not GpuSource.NVML:
        return Static(config.inventory, canary)
    logins = names.Names(names.login)

    def name_of(uid: int) -> str:
        login = logins.ask([str(uid)], clock())[str(uid)]
        return login if isinstance(login, str) else str(uid)

    return Room(Looker(Processes(name_of), clock), clock, on_change, heartbeat, canary)


def observer(
    settings: Settings, client: engine_calls.EngineClient, gpus: Callable[[], bool]
) -> engine_observer.Observer:
    """Return an observer of the Engine behind a client; `gpus` says whether the host has any."""
    config = settings.config
    return engine_observer.Observer(
        client,
        config.inspect_interval,
        config.resync_interval,
        limits.read_limits,
        listening.listening,
        read_disk=disks.Reader(config.docker.host, config.disk.high_watermark).read,
        arrived=disks.arrived,
        gpus=gpus,
    )


def inquiries(client: engine_calls.EngineClient) -> engine_inquiries.Inquiries:
    """Return what asks single questions of the Engine behind a client."""
    return engine_inquiries.Inquiries(client, disks.arrived)


def look(
    settings: Settings,
    engine: Engine,
    ledger: LedgerPort,
    crew: Crew,
    memories: tuple[policies.Recall, policies.Remember],
) -> Surroundings:
    """Put the adapters together that a pass looks through."""
    settle, (recall, remember) = settings.config.settle, memories
    return Surroundings(
        specs=directory.SpecDirectory(str(settings.spec_dir), settle),
        policies=policies.Policies(
            str(settings.policy_file), str(settings.image_catalog_file), settle, recall, remember
        ),
        engine=engine,
        host=host.Host(
            str(settings.secrets_dir),
            str(settings.runtime_dir),
            listening.host_listeners_if_known,
            settings.proxy_dir,
            settings.closed,
        ),
        ledger=ledger,
        crew=crew,
    )


def reconciler(settings: Settings, around: Surroundings, mode: str) -> Reconciler:
    """Return a reconciler with the rules of the configuration, in a mode of its own."""
    safety = settings.config.safety
    rules = Rules(
        runtime_secrets=f"{settings.runtime_dir}/secrets",
        subnet=settings.config.network.subnet,
        deletion_grace=safety.deletion_grace,
        budget=Budget(safety.max_disruptions_per_minute, safety.max_disruptions_percent),
        retain=safety.retain_replaced,
        high_watermark=settings.config.disk.high_watermark,
        low_watermark=settings.config.disk.low_watermark,
        gpus_clean_after=settings.config.gpus.clean_after,
        gpu_attach=settings.config.gpus.attach,
        gpu_monitors=settings.config.gpus.monitors,
        proxied=settings.proxy_dir is not None,
        slice_driver=settings.config.slices.driver,
        slice_root=settings.config.slices.root,
    )
    setup = Setup(mode, rules, f"{host.boot_id()}/{len(ledger_schema.steps())}")
    return Reconciler(around, Planner(rules), lambda: os.urandom(NONCE_BYTES), _since_boot, setup)


def _since_boot() -> float:
    """Return seconds that never go back and count while the host sleeps: clock_gettime(2), CLOCK_BOOTTIME."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
