"""Knows the few Engine calls that the set-up makes, with the standard library alone.

It refuses to be a client library: no streams, no TLS, only unix sockets and plain TCP.
"""

import http.client
import json
import socket
import urllib.parse

from deploy.dev import host

BUILT_IN_NETWORKS = frozenset({"bridge", "host", "none"})


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Opens the connection."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Api:
    """Calls to the Engine at one address, `unix:///path` or `tcp://host:port`."""

    def __init__(self, url: str) -> None:
        self._url = url

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        parts = urllib.parse.urlsplit(self._url)
        match parts.scheme:
            case "unix":
                return UnixConnection(parts.path, timeout)
            case "tcp" | "http":
                return http.client.HTTPConnection(parts.netloc, timeout=timeout)
        raise host.SetupError(f"{self._url}: only unix:// and tcp:// addresses are known here")

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        timeout: float = 60,
        kind: str = "application/x-tar",
    ) -> tuple[int, bytes]:
        """One call: HTTP status and body. `kind` is the media type of what is sent.

        Raises:
            SetupError: nobody answers there within `timeout` seconds.
        """
        connection = self._connect(timeout)
        headers = {} if body is None else {"Content-Type": kind}
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise host.SetupError(f"no answer at {self._url}: {error}") from error
        finally:
            connection.close()

    def answers(self) -> bool:
        """Whether an Engine answers."""
        try:
            return self.request("GET", "/_ping", timeout=5)[0] == http.client.OK
        except host.SetupError:
            return False

    def has_image(self, name: str) -> bool:
        """Whether the Engine has an image of this name."""
        return self.request("GET", f"/images/{urllib.parse.quote(name)}/json")[0] == http.client.OK

    def load_image(self, archive: bytes) -> None:
        """Loads the tar archive that `docker save` would write.

        Raises:
            SetupError: the Engine refused it; a refusal can come in the text of an answer with 200.
        """
        status, answer = self.request("POST", "/images/load?quiet=1", archive, timeout=120)
        if status != http.client.OK or b'"error' in answer:
            raise host.SetupError(f"image not loaded: {answer.decode(errors='replace').strip()}")

    def remove_everything(self) -> list[str]:
        """Removes all containers and all networks that were made. For our own Engine.

        Returns what the Engine refused to remove, a line for each.

        Raises:
            SetupError: the Engine does not answer.
        """
        refused = [
            self._remove(f"/containers/{container['Id']}?force=1&v=1")
            for container in json.loads(self.request("GET", "/containers/json?all=1")[1])
        ]
        for network in json.loads(self.request("GET", "/networks")[1]):
            if network["Name"] not in BUILT_IN_NETWORKS:
                self._free(network["Id"])
                refused.append(self._remove(f"/networks/{network['Id']}"))
        return [line for line in refused if line]

    def _free(self, network: str) -> None:
        """Takes from a network the endpoints whose containers are gone: it would not be removed with them."""
        answer = json.loads(self.request("GET", f"/networks/{network}")[1])
        for holder, endpoint in (answer.get("Containers") or {}).items():
            container = endpoint.get("Name") or holder
            body = json.dumps({"Container": container, "Force": True}).encode()
            self.request("POST", f"/networks/{network}/disconnect", body, kind="application/json")

    def _remove(self, path: str) -> str:
        """Why this was not removed; empty where it was, or was not there."""
        status, answer = self.request("DELETE", path)
        if status in (http.client.OK, http.client.NO_CONTENT, http.client.NOT_FOUND):
            return ""
        return f"DELETE {path}: {status} {answer.decode(errors='replace').strip()}"
