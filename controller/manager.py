"""Knows how the parts fit: the only place that builds threads, opens the ledger and takes the time of day.

Refuses to decide anything about a workspace, and to run passes: `loop` has their rhythm.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from controller import __version__, assembly, footprint, loop
from controller.api.config import SliceDriver
from controller.engine import events as engine_events
from controller.engine import executor as engine_executor
from controller.gate import Gate, Occupied
from controller.gpus.room import Room
from controller.gpus.static import Static
from controller.ledger import ledger as ledgers
from controller.ledger import lock, sketch
from controller.model import actions, errors, memory, outcomes
from controller.model.actions import Action
from controller.model.plan import Decision
from controller.model.status import PassReport
from controller.planning import inventory
from controller.reporting import http, logs, metrics, narrator, notify
from controller.service import Facts, Service
from controller.settings import Settings
from controller.slices import limits
from controller.slices.room import Room as SliceRoom
from controller.sources import members, meter, preparation, proposals, watcher
from controller.status import events as event_texts
from controller.surroundings import Surroundings
from controller.workers import Finished, Workers
from controller.workqueue import WorkQueue

LOCK_DIR = Path("/run/lock")
QUEUE = "workspaces"
"""Name of the work queue in metrics."""
SURVEY_LOOKS = 4
"""Most times that a survey waits for a file to read the same twice."""

_log = structlog.get_logger("controller.manager")


@dataclass(frozen=True, slots=True)
class OnceResult:
    """What `wharf run --once` ends with: the exit code, and a line for each workspace not as specified."""

    exit_code: int
    lines: tuple[str, ...]


def clock() -> datetime:
    """Return the time of day, in UTC."""
    return datetime.now(UTC)


def run(settings: Settings) -> int:
    """Be the controller until SIGTERM or SIGINT; return an exit code of the contract."""
    footprint.keep_small()
    with ExitStack() as stack:
        try:
            controller = Controller(settings, stack)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: controller.rhythm.stop())
            controller.serve(stack)
        except errors.InUse as occupied:
            _log.error("engine_occupied", error=occupied.message)
            return 5
        except (errors.EffectError, http.ServerError) as error:
            _log.error("controller_not_started", error=str(error))
            return 1
        try:
            controller.rhythm.run()
        except Occupied as occupied:
            _log.error("engine_occupied", error=str(occupied))
            return 5
    return 0


def run_once(settings: Settings, timeout: timedelta) -> OnceResult:
    """Make passes until nothing more can be done now, or until `timeout` is over."""
    with ExitStack() as stack:
        try:
            controller = Controller(settings, stack)
            controller.listen(stack)
            controller.await_gpus(timeout)
            ending = controller.rhythm.run_once(timeout)
        except (Occupied, errors.InUse) as occupied:
            return OnceResult(5, (str(occupied),))
        except errors.EffectError as error:
            return OnceResult(1, (error.message,))
    return OnceResult(ending.exit_code, ending.lines)


def survey(settings: Settings, spec_dir: Path | None = None) -> PassReport:
    """Look once and decide, without acting and without the lock: for commands while nobody controls.

    With `spec_dir`, as if its files, and no others, were the specs.
    """
    nonce, known, texts = os.urandom(assembly.NONCE_BYTES), None, dict[str, tuple[str, str]]()
    opened = ledgers.Ledger.open_read_only(settings.state_dir)
    if opened is not None:
        known = opened.recall(nonce, clock())
        kinds = ("ResourcePolicy", "ImageCatalog", members.KIND)
        texts = {kind: text for kind in kinds if (text := opened.remembered_source(kind)) is not None}
        opened.close()
    memories = (texts.get, lambda *_: None)
    paper = sketch.Sketch(known or memory.Memory(0, os.urandom(assembly.NONCE_BYTES), nonce))
    client = assembly.connect(settings, lambda *_: None)
    gpus = assembly.gpus(settings, clock)
    gpus.look()
    engine = assembly.observer(settings, client, lambda: gpus.any)
    around = replace(
        assembly.look(settings, engine, paper, _Nobody(), memories), gpus=gpus, slices=SliceRoom()
    )
    if spec_dir is not None:
        grace = settings.config.safety.deletion_grace
        around = replace(around, specs=proposals.Proposal(str(spec_dir), grace))
    reconciler = assembly.reconciler(settings, around, "Observe")
    report = reconciler.run_pass(clock(), "startup")
    for _ in range(SURVEY_LOOKS):
        wait = _until_settled(report)
        if wait is None:
            break
        time.sleep(wait)
        report = reconciler.run_pass(clock(), "startup")
    gpus.stop()
    client.close()
    return report


class Controller:
    """One controller: its ledger, its Engine, its threads; the stack that it is given closes them."""

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        config = settings.config
        self._settings = settings
        self._make_directories()
        self.metrics = metrics.Metrics(__version__)
        self.queue = WorkQueue(time.monotonic, lambda: self.metrics.count_queue_add(QUEUE))
        self._begin_logs()
        self.ledger = ledgers.Ledger.open(settings.state_dir, clock())
        stack.callback(self.ledger.close)
        self._client = assembly.connect(settings, self.metrics.count_request)
        stack.callback(self._client.close)
        self._gpus = self._room()
        self._observer = assembly.observer(settings, self._client, lambda: self._gpus.any)
        self.gate = Gate(self._observer, self._identify, partial(self._enter, stack))
        self.workers = Workers(
            self._execute, self._on_defect, lambda: self.queue.add("chain"), clock, config.docker.workers
        )
        stack.callback(self.workers.close)
        self._slices = SliceRoom()
        self._executors = self._make_executors(settings)
        around = self._around()
        self.service = Service(
            self.ledger,
            assembly.inquiries(self._client),
            clock,
            lambda: self.queue.add("request"),
            _facts(settings),
            self._slices,
        )
        self._policies = around.policies
        self._meter = meter.Meter(self._client.layer_and_log, clock)
        around = replace(
            around, errands=self.service.errands, sizes=self._meter, gpus=self._gpus, slices=self._slices
        )
        self._reconciler = assembly.reconciler(settings, around, config.mode)
        self._narrator = narrator.Narrator()
        self._notify = notify.Notifier(os.environ.get("NOTIFY_SOCKET"), os.environ.get("WATCHDOG_USEC"))
        self._before: PassReport | None = None
        self._reader: engine_events.EventReader | None = None
        self.rhythm = loop.Rhythm(self._pass, self.queue, time.monotonic, config.resync_interval)

    def listen(self, stack: ExitStack) -> None:
        """Begin to hear of changes: of the Engine's containers and of the files."""
        self._reader = reader = engine_events.EventReader(
            lambda: assembly.connect(self._settings, self.metrics.count_request),
            self._note,
            self._on_reconnect,
            partial(self._beat, "events"),
        )
        reader.start()
        stack.callback(reader.stop)
        files = watcher.Watcher(
            lambda: sorted({str(self._settings.spec_dir), *self._policies.directories()}),
            lambda: self.queue.add("spec"),
            partial(self._beat, "spec_watch"),
        )
        files.start()
        stack.callback(files.stop)
        self._gpus.start()
        stack.callback(self._gpus.stop)

    def await_gpus(self, timeout: timedelta) -> None:
        """Wait until the GPUs were looked at once, for a run that ends by itself."""
        self._gpus.wait(timeout.total_seconds())

    def serve(self, stack: ExitStack) -> None:
        """Begin to hear of changes, to answer questions, and to say that the controller is there."""
        self.listen(stack)
        self._meter.start()
        stack.callback(self._meter.stop)
        endpoints = http.Endpoints(
            self._settings.config.metrics.listen, self._settings.runtime_dir / "control.sock"
        )
        server = http.Server(endpoints, self.service, self.service, self.metrics)
        server.start()
        stack.callback(server.stop)
        self.metrics.watch_queue(QUEUE, self.queue.depth, self.workers.ages)
        self._notify.ready("started")
        stack.callback(self._notify.stopping)
        _log.info(
            "controller_started",
            version=__version__,
            mode=self._settings.config.mode,
            spec_dir=str(self._settings.spec_dir),
            metrics="http://{}:{}/metrics".format(*server.address),
        )

    def _around(self) -> Surroundings:
        memories = (self.ledger.remembered_source, self.ledger.remember_source)
        return assembly.look(self._settings, self.gate, self.ledger, self.workers, memories)

    def _make_executors(
        self, settings: Settings
    ) -> tuple[engine_executor.EngineExecutor, preparation.HostExecutor]:
        directories = (str(settings.secrets_dir), str(settings.runtime_dir))
        return (
            engine_executor.EngineExecutor(
                self._client, limits.read_limits, limits.read_memory_use, self._owns
            ),
            preparation.HostExecutor(*directories, settings.proxy_dir, settings.closed),
        )

    def _room(self) -> Room | Static:
        beat = partial(self._beat, "nvml")
        return assembly.gpus(self._settings, clock, lambda: self.queue.add("gpus"), beat)

    def _beat(self, name: str) -> None:
        self.metrics.beat(name, clock())

    def _pass(self, cause: str, waited: float) -> PassReport | None:
        """Make one pass; a defect of our own ends it alone, and the next one is made all the same."""
        try:
            report = self._reconciler.run_pass(clock(), cause)
            self.metrics.observe_queue(QUEUE, waited, report.seconds)
            self._tell(report)
        except Occupied:
            raise
        except Exception:  # noqa: BLE001 - the one guard of a pass: the loop lives
            _log.exception("internal_error", cause=cause)
            self.metrics.count_panic("pass")
            return None
        return report

    def _tell(self, report: PassReport) -> None:
        self.metrics.publish(report)
        for chain in report.chains:
            if any(isinstance(outcome, outcomes.Failed) for outcome in chain.outcomes):
                self.metrics.count_queue_retry(QUEUE)
        self.metrics.beat("resync", report.at)
        self.metrics.set_stream_connected(self._reader is not None and self._reader.connected)
        self.metrics.set_ledger_size(_size(self._settings.state_dir / ledgers.DATABASE))
        self.service.publish(report)
        self._narrator.narrate(report)
        try:
            with self.ledger.batch():
                for event in event_texts.derive(self._before, report):
                    self.ledger.record_event(event)
        except errors.EffectError as error:
            self.metrics.count_ledger_error("io")
            _log.warning("events_not_recorded", error=str(error))
        self._before = report
        self._notify.status(f"{len(report.statuses)} workspaces, pass {report.pass_id}")
        self._notify.alive()

    def _identify(self) -> str:
        return str(self._client.info().get("ID", ""))

    def _enter(self, locks: ExitStack, engine_id: str) -> None:
        holder = lock.Holder(os.getpid(), socket.gethostname(), 0, clock(), str(self._settings.file or ""))
        answer = lock.EngineLock(LOCK_DIR, engine_id).acquire(holder)
        if isinstance(answer, lock.HeldBy):
            raise Occupied(str(answer))
        locks.callback(answer.release)
        if self._settings.config.slices.driver is not SliceDriver.NONE:
            slices = lock.SlicesLock(LOCK_DIR, self._settings.config.slices.root).acquire(holder)
            if isinstance(slices, lock.HeldBy):
                raise Occupied(str(slices))
            locks.callback(slices.release)
        epoch = self.ledger.next_epoch(engine_id, clock())
        answer.describe(lock.Holder(holder.pid, holder.host, epoch, holder.since, holder.config))

    def _execute(self, action: Action) -> outcomes.Outcome:
        engine, host_files = self._executors
        if isinstance(action, actions.EngineAction):
            outcome = engine.execute(action)
            self._observer.note_own(action, outcome)
            return outcome
        if isinstance(action, actions.HostAction):
            return host_files.execute(action)
        if isinstance(action, actions.SliceAction):
            outcome = self._slices.execute(action)
            if isinstance(action, actions.LimitCgroup):
                self._observer.note_own(action, outcome)
            return outcome
        return self.ledger.execute(action, clock())

    def _owns(self, container_id: str, marks: Mapping[str, str]) -> bool:
        return inventory.is_ours(self.ledger.recall(b"", clock()), container_id, marks)

    def _on_defect(self, decision: Decision, defect: BaseException) -> None:
        _log.error("internal_error", workspace=decision.workspace, exc_info=defect)

    def _note(self, kind: str, action: str, actor_id: str) -> None:
        self.metrics.count_engine_event(kind, action)
        if self._observer.note(kind, action, actor_id):
            self.queue.add("event")

    def _on_reconnect(self) -> None:
        self._observer.forget()
        self.metrics.count_reconnect("lost")
        self.queue.add("event")

    def _begin_logs(self) -> None:
        log, journal = self._settings.config.log, os.environ.get("JOURNAL_STREAM", "")
        options = logs.LogOptions(log.format, log.level, journal, __version__)
        logs.configure(options, sys.stderr, clock, self.metrics.count_log)

    def _make_directories(self) -> None:
        for path, mode in ((self._settings.state_dir, 0o700), (self._settings.runtime_dir, 0o755)):
            path.mkdir(mode=mode, parents=True, exist_ok=True)


def _facts(settings: Settings) -> Facts:
    config = settings.config
    return Facts(
        config.mode,
        config.docker.host,
        settings.spec_dir,
        config.resync_interval * 3,
        config.disk.low_watermark,
        config.slices.root,
    )


class _Nobody:
    """A crew that does nothing, for looks without effects."""

    def submit(self, decision: Decision, rest: tuple[Action, ...], intent_id: int) -> None:
        raise AssertionError(f"nothing is done here ({decision.workspace}, {rest}, {intent_id})")

    def busy(self) -> frozenset[str]:
        return frozenset()

    def collect(self) -> tuple[Finished, ...]:
        return ()


def _until_settled(report: PassReport) -> float | None:
    """Return the seconds until files that are read twice have been, None if there are none."""
    settling = any(state == "settling" and count for (_, state), count in report.spec_files.items())
    if not settling or report.plan.next_look is None:
        return None
    return max(0.0, (report.plan.next_look - clock()).total_seconds())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
