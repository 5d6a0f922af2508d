"""Knows how to build the sample image from the host's static busybox, without base image or registry.

It refuses to depend on the time or on the Engine: the same busybox gives the same image id everywhere.
"""

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

from deploy.dev import api, host

REPOSITORY = "wharf-sample"
TAGS = ("1", "2")
SERVED_PORT = 8888
COMMAND = ["/bin/httpd", "-f", "-p", str(SERVED_PORT), "-h", "/srv"]
LINKS = """
    [ ash awk cat chmod chown cp cut date dd df du echo env expr false find grep head hostname
    httpd id ip kill ln ls mkdir mknod mount mv nc netstat od ping ps pwd rm sed seq sh sleep
    sort stat stty sync tail tar tee test touch tr true tty umount uname vi wc wget which whoami
    xargs yes
""".split()  # noqa: SIM905 - a list of eighty strings reads worse
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
SHARED_LIBRARY_LOADER = b"/ld-linux"


def name_of(tag: str) -> str:
    """The image's full name."""
    return f"{REPOSITORY}:{tag}"


def load_missing(engine: api.Api) -> str:
    """Loads the sample images that an Engine does not have; the names of all.

    Raises:
        SetupError: there is no static busybox, or the Engine does not take the image.
    """
    for tag in TAGS:
        if not engine.has_image(name_of(tag)):
            engine.load_image(build_archive(tag))
    return " ".join(name_of(tag) for tag in TAGS)


def build_archive(tag: str) -> bytes:
    """The image as the tar archive that `docker load` takes.

    Raises:
        SetupError: there is no static busybox.
    """
    layer = _layer(tag)
    config = _config(tag, _sha256(layer))
    config_name = f"{_sha256(config)}.json"
    manifest = [{"Config": config_name, "RepoTags": [name_of(tag)], "Layers": ["layer.tar"]}]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        _add_file(archive, "layer.tar", layer)
        _add_file(archive, config_name, config)
        _add_file(archive, "manifest.json", json.dumps(manifest).encode())
    return buffer.getvalue()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _config(tag: str, layer_digest: str) -> bytes:
    machine = platform.machine()
    config = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": {
            "Cmd": COMMAND,
            "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "ExposedPorts": {f"{SERVED_PORT}/tcp": {}},
            "Labels": {"sample": tag},
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "static busybox"}],
    }
    return json.dumps(config, sort_keys=True).encode()


def _layer(tag: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for folder in ("bin", "dev", "etc", "home", "mnt", "proc", "root", "run", "srv", "sys", "usr", "var"):
            _add_entry(archive, folder, tarfile.DIRTYPE, 0o755)
        _add_entry(archive, "tmp", tarfile.DIRTYPE, 0o1777)
        _add_file(archive, "bin/busybox", _static_busybox(), 0o755)
        for link in LINKS:
            _add_entry(archive, f"bin/{link}", tarfile.SYMTYPE, 0o777, target="busybox")
        _add_file(
            archive,
            "etc/passwd",
            b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
        )
        _add_file(archive, "etc/group", b"root:x:0:\nnogroup:x:65534:\n")
        _add_file(archive, "srv/index.html", f"<h1>A sample workspace, version {tag}</h1>\n".encode())
    return buffer.getvalue()


def _static_busybox() -> bytes:
    program = host.find_program("busybox")
    if program is None:
        raise host.SetupError("no busybox; install busybox-static")
    content = Path(program).read_bytes()
    if SHARED_LIBRARY_LOADER in content[:8192]:
        raise host.SetupError(f"{program} needs shared libraries; install busybox-static")
    return content


def _add_file(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _add_entry(archive: tarfile.TarFile, name: str, kind: bytes, mode: int, target: str = "") -> None:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.mode = mode
    entry.linkname = target
    archive.addfile(entry)
