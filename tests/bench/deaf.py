"""Knows how to keep every event of an Engine from a controller: a proxy on a unix socket.

It refuses to change anything else: all other bytes pass as they are.
"""

import contextlib
import socket
import threading
from pathlib import Path

CHUNK = 65536


class DeafProxy:
    """Listens on one socket for connections to another until closed."""

    def __init__(self, listen: Path, engine_url: str) -> None:
        self.url = f"unix://{listen}"
        self._engine = engine_url.removeprefix("unix://")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(listen))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self._engine)
                silent = threading.Event()
                threading.Thread(target=_forward, args=(client, engine, silent), daemon=True).start()
                threading.Thread(target=_answer, args=(engine, client, silent), daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


def _forward(client: socket.socket, engine: socket.socket, silent: threading.Event) -> None:
    with contextlib.suppress(OSError), engine:
        while data := client.recv(CHUNK):
            if b"/events?" in data.partition(b"\r\n")[0]:
                silent.set()
            engine.sendall(data)


def _answer(engine: socket.socket, client: socket.socket, silent: threading.Event) -> None:
    """Pass answers on; of a stream of events only its head."""
    told = False
    with contextlib.suppress(OSError), client:
        while data := engine.recv(CHUNK):
            if silent.is_set():
                if told:
                    continue
                head, end, _ = data.partition(b"\r\n\r\n")
                data, told = head + end, True
            client.sendall(data)
