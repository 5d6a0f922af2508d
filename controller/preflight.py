"""Gathers what `wharf check` judges: of Engine, files, policy and ledger, each as far as it can be had.

Refuses to change anything, to take the Engine's lock, and to judge.
"""

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import pydantic

from controller import assembly
from controller.api.config import GpuSource
from controller.api.images import ImageCatalog
from controller.api.policy import PolicySpec, PortPool, ResourcePolicy
from controller.engine import client as engine_client
from controller.engine import inquiries
from controller.gpus import toolkit
from controller.ledger import ledger as ledgers
from controller.ledger import lock
from controller.model import errors
from controller.model.memory import PortBlock
from controller.model.observed import Unseen
from controller.model.preflight import EngineFacts, Files, GpuFacts, PoolUse, Preflight, SliceFacts
from controller.model.slices import Question
from controller.planning import slicing
from controller.settings import Settings
from controller.slices.room import Room
from controller.sources import hostfiles, loader

ModelT = TypeVar("ModelT", bound=pydantic.BaseModel)

_ROOT: Final = Path("/")


def gather(settings: Settings, lock_dir: Path, now: datetime) -> Preflight:
    """Look at everything once, as the user who asks."""
    engine = _engine(settings, now)
    policy, troubles = _policy(settings)
    blocks, ledger = _blocks(settings, now)
    return Preflight(
        uid=os.geteuid(),
        engine=engine,
        files=_files(settings, engine, policy),
        pools=tuple(_pools(policy.port_pools if policy else (), blocks)),
        ledger=ledger,
        policy=troubles,
        holder=_holder(engine, lock_dir),
        nested_runtime=(policy.docker_in_docker_runtime or "") if policy else "",
        high_watermark=settings.config.disk.high_watermark,
        gpus=_gpus(settings, now),
        slices=_slices(settings, engine, policy, now),
    )


def _slices(
    settings: Settings, engine: EngineFacts | Unseen, policy: PolicySpec | None, now: datetime
) -> SliceFacts | None:
    if isinstance(engine, Unseen):
        return None
    config, asked = settings.config.slices, frozenset(slicing.asked(policy) if policy else ())
    driver = slicing.driver_for(config.driver, engine.cgroup_driver)
    room, question = Room(), Question(driver, config.root)
    found = room.observe(question, now)
    if isinstance(found, Unseen):
        return SliceFacts(config.driver, found, asked)
    return SliceFacts(config.driver, found.value, asked, room.writable(question))


def _gpus(settings: Settings, now: datetime) -> GpuFacts | None:
    config = settings.config.gpus
    if config.source is GpuSource.NONE:
        return None
    room = assembly.gpus(settings, lambda: now)
    try:
        room.look()
        found = room.observe({}, now)
    finally:
        room.stop()
    view = found if isinstance(found, Unseen) else found.value
    return GpuFacts(view, config.attach, toolkit.look(), is_listed=config.source is GpuSource.STATIC)


def _engine(settings: Settings, now: datetime) -> EngineFacts | Unseen:
    docker = settings.config.docker
    client = engine_client.connect(docker.host, docker.request_timeout, lambda *_: None)
    try:
        return inquiries.Inquiries(client).facts()
    except errors.EffectError as error:
        return Unseen(error.reason, error.message, now)
    finally:
        client.close()


def _policy(settings: Settings) -> tuple[PolicySpec | None, str]:
    """The policy, and the first thing that is wrong with it or the catalog."""
    policy = _load(settings.policy_file, ResourcePolicy)
    catalog = _load(settings.image_catalog_file, ImageCatalog)
    troubles = [found for found in (policy, catalog) if isinstance(found, str)]
    return (policy.spec if isinstance(policy, ResourcePolicy) else None), "".join(troubles[:1])


def _load(file: Path, model: type[ModelT]) -> ModelT | str | None:
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{file}: {error.strerror}"
    result = loader.parse_document(text, str(file), model)
    return str(result.findings[0]) if isinstance(result, loader.Rejection) else result.value


def _blocks(settings: Settings, now: datetime) -> tuple[tuple[PortBlock, ...], str]:
    """The port blocks that are given, or why the ledger cannot tell."""
    try:
        opened = ledgers.Ledger.open_read_only(settings.state_dir)
    except errors.EffectError as error:
        return (), error.message
    if opened is None:
        return (), ""
    try:
        return opened.recall(b"", now).port_blocks, ""
    finally:
        opened.close()


def _files(settings: Settings, engine: EngineFacts | Unseen, policy: PolicySpec | None) -> Files:
    places = {
        "state": settings.state_dir,
        "runtime": settings.runtime_dir,
        "secrets": settings.secrets_dir,
        "specs": settings.spec_dir,
    }
    if settings.proxy_dir is not None:
        places["proxy"] = settings.proxy_dir
    if isinstance(engine, EngineFacts) and engine.root_dir:
        places["docker"] = Path(engine.root_dir)
    jobs, unread = hostfiles.prune_jobs(_ROOT)
    roots = {}
    for root in policy.mount_roots if policy else ():
        unsafe, suid = hostfiles.check_root(root)
        roots[root] = (unsafe, None if policy and policy.allow_suid_mounts else suid)
    return Files(
        places={name: hostfiles.look_at(path) for name, path in places.items()},
        mount_roots=roots,
        clock_synchronised=hostfiles.is_clock_synchronised(),
        prune_jobs=jobs,
        unread=unread,
    )


def _pools(pools: Iterable[PortPool], blocks: Iterable[PortBlock]) -> Iterator[PoolUse]:
    given = tuple(blocks)
    for pool in pools:
        count = (pool.last - pool.first + 1) // pool.block
        yield PoolUse(pool.name, count, sum(block.pool == pool.name for block in given))


def _holder(engine: EngineFacts | Unseen, lock_dir: Path) -> str:
    """Which controller has the Engine, in words, or nothing."""
    if isinstance(engine, Unseen):
        return ""
    found = lock.EngineLock(lock_dir, engine.engine_id).peek()
    if found is None:
        return ""
    if found.holder is None:
        return f"one has this Engine ({found.path})"
    holder = found.holder
    since = f"{holder.since:%Y-%m-%d %H:%M:%S} UTC"
    return f"process {holder.pid} since {since}, configuration {holder.config or 'default'}"
