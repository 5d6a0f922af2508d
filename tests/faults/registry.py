"""Knows how to be a registry with one image, under whatever name it is pulled.

It refuses to take anything: the image is one that an Engine has, and is served as it was saved.
"""

import contextlib
import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator

from tests.support import dockerd as dockerd_support

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


class _Image:
    """A manifest and the blobs that it names."""

    def __init__(self, saved: bytes) -> None:
        self.blobs: dict[str, bytes] = {}
        with tarfile.open(fileobj=io.BytesIO(saved)) as archive:

            def read(name: str) -> bytes:
                file = archive.extractfile(name)
                assert file is not None
                return file.read()

            (listed,) = json.loads(read("manifest.json"))
            config = self._blob(CONFIG, read(listed["Config"]))
            layers = [self._blob(LAYER, gzip.compress(read(name), 1)) for name in listed["Layers"]]
        content = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        self.manifest = json.dumps(content).encode()

    def _blob(self, kind: str, blob: bytes) -> dict[str, str | int]:
        self.blobs[_digest(blob)] = blob
        return {"mediaType": kind, "size": len(blob), "digest": _digest(blob)}


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, image: _Image) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.image = image


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:  # noqa: N802 - the library's name
        self._find()

    def do_GET(self) -> None:  # noqa: N802 - likewise
        self.wfile.write(self._find())

    def _find(self) -> bytes:
        """Send the head of the answer; its body."""
        assert isinstance(self.server, _Server)
        kind, _, name = self.path.rstrip("/").rpartition("/")
        body: bytes | None = b"{}"
        if kind.endswith("/manifests"):
            body = self.server.image.manifest
        elif kind.endswith("/blobs"):
            body = self.server.image.blobs.get(name)
        self.send_response(200 if body is not None else 404)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        if body is not None:
            self.send_header("Content-Type", MANIFEST if kind.endswith("/manifests") else "application/json")
            self.send_header("Docker-Content-Digest", _digest(body))
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        return body or b""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing: an Engine that tries TLS first is as it should be."""


@contextlib.contextmanager
def serving(engine: dockerd_support.Dockerd, reference: str) -> Iterator[str]:
    """Serve an image of this Engine; the address, which any Engine of this host may use without TLS."""
    client = engine.client()
    saved = b"".join(client.get_image(reference))
    client.close()
    server = _Server(_Image(saved))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
