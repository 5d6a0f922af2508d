"""Knows in what the container of each workspace differs from what it should be; the same is compared once.

Refuses to act on it.
"""

from controller.model.desired import AcceptedSpec
from controller.model.effective import Refusal
from controller.model.observed import Container, EngineView
from controller.model.plan import Drift
from controller.planning import belonging, drift
from controller.planning import case as case_module
from controller.planning.case import Blueprint, Ours, Scene
from controller.planning.equipment import Equipment
from controller.planning.memo import Memo


class Comparer:
    """Remembers the differences of each container, as long as all that they rest on stays the same."""

    def __init__(self) -> None:
        self._drifts: Memo[tuple[Drift, ...]] = Memo()
        self._host: tuple[object, ...] = ()  # what of the Engine's host containers are compared with

    def keep_only(self, names: frozenset[str]) -> None:
        """Forget other workspaces."""
        self._drifts.keep_only(names)

    def differences(
        self,
        spec: AcceptedSpec | None,
        ours: Ours,
        design: Blueprint | Refusal | None,
        scene: Scene,
        equipment: Equipment | None,
    ) -> tuple[Drift, ...]:
        """Return every difference of a workspace, in a fixed order."""
        container = ours.main
        if spec is None or spec.missing_since is not None:
            return () if container is None else drift.of_orphan(container)
        if not isinstance(design, Blueprint):
            return ()
        should_run = case_module.should_run(design.effective, scene.memory.suspensions.get(spec.name))
        if container is None:
            return drift.of_state(None, should_run=should_run)
        opens = equipment.beyond(container) if equipment is not None else ()
        found = self._compared(spec.name, container, design, scene, opens, should_run=should_run)
        of_slice = belonging.drifts(container, design.template, design.effective.owner, scene.slices)
        return (*found, *of_slice) if of_slice else found

    def _compared(  # noqa: PLR0913 - a comparison has this many sides
        self,
        name: str,
        container: Container,
        design: Blueprint,
        scene: Scene,
        opens: tuple[str, ...],
        *,
        should_run: bool,
    ) -> tuple[Drift, ...]:
        view = scene.view
        image, detail = view.images.get(design.template.image), view.image_details.get(container.image_id)

        def compute() -> tuple[Drift, ...]:
            subject = drift.subject(
                design.template,
                design.identity,
                design.optional_targets,
                container,
                view,
                wish=design.effective.gpu,
                stock=scene.stock,
                opens=opens,
            )
            return drift.of_state(container, should_run=should_run) + drift.detect(subject)

        arguments = (
            container,
            design,
            image,
            detail,
            should_run,
            self._of_host(view),
            scene.stock,
            opens,
        )
        return self._drifts.get(name, arguments, compute)

    def _of_host(self, view: EngineView) -> tuple[object, ...]:
        host = (view.total_memory, view.total_cpus, view.default_runtime)
        self._host = self._host if self._host == host else host
        return self._host
