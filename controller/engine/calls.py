"""Knows the Engine's calls that the controller uses, one thin method each, and our errors for refusals.

It refuses to have others: no exec, no prune, no removal by force or with volumes. It retries nothing.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from controller.engine import refusals, transport

INSPECT_TIMEOUT = 10.0
"""Seconds; one container whose lock is held must not stop a pass."""
PULL_PATIENCE = 300.0
"""Seconds without a word of progress after which a pull counts as hung."""
EVENT_MARGIN = 10.0
"""Seconds beyond its end after which a stream of events without a word counts as lost."""
STOP_MARGIN = 30.0
"""Seconds beyond the grace in which a stop must be answered."""

NOT_MODIFIED = HTTPStatus.NOT_MODIFIED
UP_TO_DATE = "Image is up to date"


class EngineClient:
    """One Engine. Safe to share: the transport keeps what a thread needs.

    Every method raises `errors.Retryable` or `errors.Terminal` and nothing else on the Engine's account. A
    changing call whose answer did not come has the reason `OutcomeUnknown`; `EngineUnavailable` means that
    nothing was done.
    """

    def __init__(self, carrier: transport.Transport, request_timeout: timedelta) -> None:
        self._carrier = carrier
        self._timeout = request_timeout.total_seconds()

    def close(self) -> None:
        """Close all connections; the client may be used again."""
        self._carrier.close()

    # looking

    def list_containers(self, label: str | None = None) -> Iterator[transport.Row]:
        """All containers, in any state, as the Engine's list has them; with `label` (`key=value`) those.

        They are given one by one, once; that may raise as well, and then the others are not known.
        """
        query = {"all": "1"} if label is None else {"all": "1", "filters": json.dumps({"label": [label]})}
        return _rows(self._read("list_containers", "/containers/json", query, rows=True))

    def inspect_container(self, name_or_id: str) -> transport.Row | None:
        """One container, or None if there is none. A name wins over an id: give names or all 64 digits."""
        return self._read_one("inspect_container", f"/containers/{_quoted(name_or_id)}/json")

    def layer_size(self, container_id: str) -> int | None:
        """Bytes in a container's writable layer, or None if there is no such container. Costly."""
        row = self._read_one("inspect_container", f"/containers/{_quoted(container_id)}/json", {"size": "1"})
        return None if row is None else int(row.get("SizeRw") or 0)

    def layer_and_log(self, container_id: str) -> tuple[int, str] | None:
        """Bytes in a container's writable layer and the path of its log; None if there is none. Costly."""
        path = f"/containers/{_quoted(container_id)}/json"
        row = self._read_one("inspect_container", path, {"size": "1"}, self._timeout)
        return None if row is None else (int(row.get("SizeRw") or 0), str(row.get("LogPath") or ""))

    def layer_changes(self, container_id: str) -> tuple[str, ...]:
        """Paths that differ from the image in a container's writable layer. Costly."""
        path = f"/containers/{_quoted(container_id)}/changes"
        rows: list[transport.Row] = self._read("container_changes", path, {}).body or []
        return tuple(str(row["Path"]) for row in rows)

    def inspect_image(self, reference: str) -> transport.Row | None:
        """One image by reference or id, or None if the Engine lacks it."""
        return self._read_one("inspect_image", f"/images/{quote(reference, safe='/:@')}/json")

    def list_images(self) -> list[transport.Row]:
        """All images as the Engine's list has them, those without a name included."""
        rows: list[transport.Row] = self._read("list_images", "/images/json", {"all": "1"}).body
        return rows

    def inspect_network(self, name: str) -> transport.Row | None:
        """One network by name or id, or None if there is none."""
        return self._read_one("inspect_network", f"/networks/{_quoted(name)}")

    def info(self) -> transport.Row:
        """What the Engine says of itself and its host."""
        row: transport.Row = self._read("info", "/info", {}).body
        return row

    def version(self) -> transport.Row:
        """Versions of the Engine and of its API."""
        row: transport.Row = self._read("version", "/version", {}).body
        return row

    def ping(self) -> None:
        """Return if the Engine answers."""
        self._read("ping", "/_ping", {})

    def events(self, since: datetime, until: datetime) -> transport.Stream:
        """Events of containers, images and networks, in a window of the Engine's time that ends by itself.

        Raises:
            errors.Retryable: the stream could not be opened. Later loss is `transport.UnansweredError`.
        """
        patience = (until - since).total_seconds() + EVENT_MARGIN
        query = {
            "since": f"{since.timestamp():.6f}",
            "until": f"{until.timestamp():.6f}",
            "filters": '{"type":["container","image","network"]}',
        }
        return self._open(transport.Request("events", "GET", "/events", query, timeout=patience))

    # doing

    def create_container(self, name: str, body: transport.Row) -> str:
        """Create a container, not started; its full id."""
        answer = self._change("create_container", "/containers/create", {"name": name}, body)
        return str(answer.body["Id"])

    def start(self, container_id: str) -> bool:
        """Start a container; False if it ran already."""
        return self._change("start", f"/containers/{container_id}/start").status != NOT_MODIFIED

    def stop(self, container_id: str, grace: timedelta) -> bool:
        """Stop a container, by KILL after the grace (rounded up to seconds); False if it did not run."""
        seconds = -int(-grace.total_seconds() // 1)
        answer = self._change(
            "stop", f"/containers/{container_id}/stop", {"t": str(seconds)}, timeout=seconds + STOP_MARGIN
        )
        return answer.status != NOT_MODIFIED

    def unpause(self, container_id: str) -> None:
        """Thaw a frozen container."""
        self._change("unpause", f"/containers/{container_id}/unpause")

    def rename(self, container_id: str, new_name: str) -> None:
        """Give a container another name."""
        self._change("rename", f"/containers/{container_id}/rename", {"name": new_name})

    def remove(self, container_id: str) -> None:
        """Remove a stopped container, neither by force nor with its volumes."""
        self._change(
            "remove", f"/containers/{container_id}", {"force": "false", "v": "false"}, method="DELETE"
        )

    def remove_image(self, reference: str) -> None:
        """Take a name from an image, and with its last name the image; what it was built on stays."""
        path = f"/images/{quote(reference, safe='/:@')}"
        self._change("remove_image", path, {"force": "false", "noprune": "true"}, method="DELETE")

    def update(self, container_id: str, body: transport.Row) -> None:
        """Change limits or the restart policy. The Engine answers success to values that it ignores."""
        self._change("update", f"/containers/{container_id}/update", body=body)

    def connect_network(self, network: str, container_id: str) -> None:
        """Attach a container to a network."""
        self._change("connect", f"/networks/{_quoted(network)}/connect", body={"Container": container_id})

    def create_network(self, body: transport.Row) -> None:
        """Create a network."""
        self._change("create_network", "/networks/create", body=body)

    def pull(self, reference: str, on_progress: Callable[[transport.Row], None] = lambda _: None) -> bool:
        """Pull one reference; False if the Engine had it already. Errors come inside the stream."""
        repository, tag = split_reference(reference)
        request = transport.Request(
            "pull",
            "POST",
            "/images/create",
            {"fromImage": repository, "tag": tag},
            timeout=max(self._timeout, PULL_PATIENCE),
            registry=repository,
        )
        changed = True
        try:
            for row in self._open(request, pulled=reference):
                if "error" in row or "errorDetail" in row:
                    raise refusals.translate_pull(reference, str(row.get("error") or row["errorDetail"]))
                changed = changed and UP_TO_DATE not in str(row.get("status", ""))
                on_progress(row)
        except transport.UnansweredError as silence:
            raise refusals.translate_silence(silence) from silence
        return changed

    # carrying

    def _read(
        self, operation: str, path: str, query: Mapping[str, str], *, rows: bool = False
    ) -> transport.Answer:
        request = transport.Request(operation, "GET", path, query, timeout=self._timeout, rows=rows)
        try:
            answer = self._carrier.call(request)
        except transport.UnansweredError as silence:
            raise refusals.translate_read_silence(silence) from silence
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise refusals.translate_read(answer)
        return answer

    def _read_one(
        self,
        operation: str,
        path: str,
        query: Mapping[str, str] | None = None,
        timeout: float = INSPECT_TIMEOUT,
    ) -> transport.Row | None:
        timeout = min(self._timeout, timeout)
        request = transport.Request(operation, "GET", path, query or {}, timeout=timeout)
        try:
            answer = self._carrier.call(request)
        except transport.UnansweredError as silence:
            raise refusals.translate_read_silence(silence) from silence
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise refusals.translate_read(answer)
        row: transport.Row = answer.body
        return row

    def _change(
        self,
        operation: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: transport.Row | None = None,
        *,
        method: str = "POST",
        timeout: float | None = None,
    ) -> transport.Answer:
        request = transport.Request(operation, method, path, query or {}, body, timeout or self._timeout)
        try:
            answer = self._carrier.call(request)
        except transport.UnansweredError as silence:
            raise refusals.translate_silence(silence) from silence
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise refusals.translate(answer)
        return answer

    def _open(self, request: transport.Request, pulled: str = "") -> transport.Stream:
        try:
            opened: Any = self._carrier.stream(request)
        except transport.UnansweredError as silence:
            raise refusals.translate_silence(silence) from silence
        if not isinstance(opened, transport.Answer):
            stream: transport.Stream = opened
            return stream
        if pulled:
            raise refusals.translate_pull(pulled, opened.message)
        raise refusals.translate_read(opened)


def _rows(answer: transport.Answer) -> Iterator[transport.Row]:
    try:
        yield from answer.body
    except transport.UnansweredError as silence:
        raise refusals.translate_read_silence(silence) from silence


def split_reference(reference: str) -> tuple[str, str]:
    """Repository, and tag or digest (`latest` where neither is said: else the Engine would pull all)."""
    repository, at, digest = reference.partition("@")
    head, colon, tag = repository.rpartition(":")
    tagged = colon and "/" not in tag
    if at:
        return (head if tagged else repository), digest
    return (head, tag) if tagged else (reference, "latest")


def _quoted(name: str) -> str:
    return quote(name, safe="")
