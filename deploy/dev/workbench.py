"""Knows how to put a controller to work in this checkout: which Engine, which files, which environment.

It refuses to change an Engine that was there before, the sample images apart, and to overwrite edited files.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from deploy.dev import api, cgroups, engine, host, image, simulated

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.prefix) / "bin"
USUAL_SOCKET = "unix:///var/run/docker.sock"
SIMULATED_SUBNET = "172.29.0.0/16"
"""Of workspaces with simulated GPUs; the usual one may be in use, by another Engine of this host."""


def choose_engine(docker_host: str, base: Path) -> tuple[str, engine.PrivateEngine | None]:
    """The address of the Engine to use, and the private Engine if that is the one.

    Args:
        docker_host: an address that a person gave; it is not second-guessed. May be empty.
        base: the private Engine lives in `engine` below it.

    Raises:
        SetupError: no Engine answers and none can be started.
    """
    if docker_host:
        if not api.Api(docker_host).answers():
            raise host.SetupError(f"no Docker Engine answers at DOCKER_HOST={docker_host}")
        return docker_host, None
    if api.Api(USUAL_SOCKET).answers():
        return USUAL_SOCKET, None
    if os.geteuid() != 0:
        raise host.SetupError(
            "no Docker Engine answers, and only root can start a private one; set DOCKER_HOST"
        )
    print(
        f"no Docker Engine at DOCKER_HOST or {USUAL_SOCKET}; using a private one in {base / 'engine'}",
        flush=True,
    )
    private = engine.PrivateEngine(base / "engine")
    private.up(live_restore=None)
    return private.url, private


def copy_config(base: Path) -> Path:
    """Copies the sample configuration to `etc` below `base`, once; the copied main file."""
    copy = base / "etc"
    if not copy.exists():
        shutil.copytree(ROOT / "config", copy)
        for path in (copy / "secrets").rglob("*"):  # a checkout does not keep modes
            path.chmod(0o700 if path.is_dir() else 0o600)
    return copy / "controller.yaml"


def controller_settings(base: Path, docker_host: str) -> dict[str, str]:
    """The variables that make a controller keep its state below `base`."""
    runtime = host.short_runtime_dir(base) / "wharf"
    state = base / "state"
    for place in (runtime, state):
        place.mkdir(parents=True, exist_ok=True)
    return {
        "WHARF_DOCKER_HOST": docker_host,
        "WHARF_STATE_DIR": str(state),
        "WHARF_RUNTIME_DIR": str(runtime),
        "WHARF_SLICES_ROOT": engine.slice_root(base),
    }


def controller_environment(settings: dict[str, str]) -> dict[str, str]:
    """This process's environment with the settings, without Docker's own variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")} | settings


def typed_environment(config: Path, docker_host: str) -> dict[str, str]:
    """What a person's shell needs beside the settings: which configuration, which Engine, which command."""
    return {
        "WHARF_CONFIG": str(config),
        "DOCKER_HOST": docker_host,
        "PATH": os.pathsep.join([str(PROGRAMS), os.environ.get("PATH", host.SYSTEM_PATH)]),
    }


def write_environment(base: Path, config: Path, settings: dict[str, str]) -> None:
    """Writes `env` below `base`, to be read by a shell beside the controller."""
    variables = settings | typed_environment(config, settings["WHARF_DOCKER_HOST"])
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items() if name != "PATH"]
    exports.append(f'export PATH={shlex.quote(str(PROGRAMS))}:"$PATH"')
    (base / "env").write_text("\n".join(exports) + "\n", encoding="utf-8")


def run(docker_host: str, *, gpus: bool) -> int:
    """Becomes the controller, on the sample specs; with simulated GPUs, on an Engine that gives them."""
    base = ROOT / ".dev"
    if gpus:
        address, settings = _with_gpus(docker_host, base / "gpus")
    else:
        address, _ = choose_engine(docker_host, base)
        settings = controller_settings(base, address)
    print(f"Engine: {address}; images: {image.load_missing(api.Api(address))}")
    config = copy_config(base)
    print(f"specs: drop files into {config.parent / 'workspaces.d'}")
    write_environment(base, config, settings)
    print("in another shell: . .dev/env; wharf get workspaces", flush=True)
    os.execve(PROGRAMS / "wharf", ["wharf", "--config", str(config), "run"], controller_environment(settings))


def _with_gpus(docker_host: str, base: Path) -> tuple[str, dict[str, str]]:
    """The address of an Engine with simulated GPUs below `base`, and settings for a controller on it."""
    _refuse_address(docker_host)
    print(f"an Engine with SIMULATED GPUs in {base}; UUIDs and models say so", flush=True)
    address = simulated.engine(base).base_url
    settings = controller_settings(base, address) | simulated.driver(base)
    return address, settings | {"WHARF_NETWORK_SUBNET": SIMULATED_SUBNET}


def _refuse_address(docker_host: str) -> None:
    if docker_host:
        raise host.SetupError("GPUs are simulated on a private Engine alone: GPUS=sim or DOCKER_HOST")


def demo(docker_host: str, *, gpus: bool) -> int:
    """Runs the tour with files, state and perhaps an Engine of its own; the tour's exit status."""
    base = ROOT / ".dev" / "demo"
    command = [sys.executable, "-m", "deploy.dev.demo"]
    private: engine.PrivateEngine | None
    alone = not docker_host and not api.Api(USUAL_SOCKET).answers()
    if gpus or (alone and not simulated.obstacle()):
        _refuse_address(docker_host)
        private = engine.PrivateEngine(base / "gpus")
        address, command = simulated.engine(private.directory).base_url, [*command, "--gpus"]
    else:
        address, private = choose_engine(docker_host, base)
    try:
        image.load_missing(api.Api(address))
        command += ["--engine", address]
        if private is not None:  # another private Engine of this host may have the default network
            command += ["--subnet", str(host.free_subnet(host.digest(base)))]
        tour = subprocess.Popen([*command, str(base / "stage")], cwd=ROOT)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells the tour too; it ends, then we do
        return tour.wait()
    finally:
        if private is not None:
            private.down(purge=True)


def clean(_: str, *, gpus: bool) -> int:
    """Removes this checkout's private Engines, test runs' leftovers included, and `.dev`."""
    del gpus  # it removes those with and without
    base = ROOT / ".dev"
    for depth in ("*", "*/*"):
        for config in base.glob(f"{depth}/dockerd.json"):
            print(f"ending the Engine in {config.parent}")
            engine.PrivateEngine(config.parent).down(purge=True)
    for owner in (base, base / "demo", base / "demo" / "stage" / ".dev", base / "gpus"):
        shutil.rmtree(host.short_runtime_dir(owner), ignore_errors=True)
        cgroups.remove_empty(engine.slice_root(owner))
    shutil.rmtree(base, ignore_errors=True)
    return 0


def main() -> int:
    """Runs one verb; 1 with one line when the set-up cannot go on."""
    verbs = {"run": run, "demo": demo, "clean": clean}
    parser = argparse.ArgumentParser(prog="workbench", description="The controller in this checkout.")
    parser.add_argument("verb", choices=sorted(verbs))
    parser.add_argument(
        "--docker-host", default="", help="the Engine's address; default: the usual one or a private one"
    )
    parser.add_argument(
        "--gpus", choices=["", "sim"], default="", help="sim: simulated GPUs, on a private Engine"
    )
    arguments = parser.parse_args()
    try:
        return verbs[arguments.verb](arguments.docker_host, gpus=arguments.gpus == "sim")
    except host.SetupError as error:
        print(f"{arguments.verb}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
