"""Which of flag, environment, file and default wins, and what a person reads about a mistake."""

import datetime as dt
from pathlib import Path

import pytest

from controller import settings
from controller.api import config

HEAD = "apiVersion: wharfinger.dev/v1\nkind: ControllerConfig\n"


def write(directory: Path, text: str) -> Path:
    file = directory / "controller.yaml"
    file.write_text(HEAD + text, encoding="utf-8")
    return file


def refused(file: Path | None, environ: dict[str, str], flags: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(settings.SettingsError) as caught:
        settings.load(file, environ, flags)
    return caught.value.findings


def test_a_file_of_a_head_alone_means_the_defaults(tmp_path: Path) -> None:
    loaded = settings.load(write(tmp_path, ""), {"PATH": "/bin"}, {})
    assert loaded.config == config.ControllerConfig()
    assert set(loaded.origins.values()) == {"default"}


def test_flag_wins_over_variable_over_file_over_default(tmp_path: Path) -> None:
    file = write(tmp_path, "settle: 1s\nresyncInterval: 20s\ninspectInterval: 1m\n")
    environ = {"WHARF_RESYNC_INTERVAL": "30s", "WHARF_INSPECT_INTERVAL": "2m"}
    loaded = settings.load(file, environ, {"inspectInterval": "3m"})
    assert loaded.config.settle == dt.timedelta(seconds=1)
    assert loaded.config.resync_interval == dt.timedelta(seconds=30)
    assert loaded.config.inspect_interval == dt.timedelta(minutes=3)
    assert loaded.config.docker.workers == 4
    assert loaded.origins["settle"] == str(file)
    assert loaded.origins["resyncInterval"] == "WHARF_RESYNC_INTERVAL"
    assert loaded.origins["inspectInterval"] == "flag inspectInterval"
    assert loaded.origins["docker.workers"] == "default"


def test_a_variable_adds_to_a_block_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "docker: {workers: 2}\n")
    loaded = settings.load(file, {"WHARF_DOCKER_HOST": "unix:///x.sock"}, {})
    assert loaded.config.docker.host == "unix:///x.sock"
    assert loaded.config.docker.workers == 2


@pytest.mark.parametrize(
    ("variable", "text", "path"),
    [
        ("WHARF_MODE", "Observe", "mode"),
        ("WHARF_DOCKER_WORKERS", "7", "docker.workers"),
        ("WHARF_METRICS_LISTEN", "127.0.0.1:1", "metrics.listen"),
        ("WHARF_NETWORK_ADVERTISE_ADDRESS", "host.example", "network.advertise_address"),
        ("WHARF_SAFETY_MAX_DISRUPTIONS_PER_MINUTE", "9", "safety.max_disruptions_per_minute"),
        ("WHARF_LOG_LEVEL", "debug", "log.level"),
    ],
)
def test_a_variable_sets_its_key(tmp_path: Path, variable: str, text: str, path: str) -> None:
    value: object = settings.load(write(tmp_path, ""), {variable: text}, {}).config
    for part in path.split("."):
        value = getattr(value, part)
    assert str(value) == text


@pytest.mark.parametrize("text", ["", "null"])
def test_a_variable_can_say_null_where_null_means_something(tmp_path: Path, text: str) -> None:
    file = write(tmp_path, "network: {advertiseAddress: host.example}\n")
    loaded = settings.load(file, {"WHARF_NETWORK_ADVERTISE_ADDRESS": text}, {})
    assert loaded.config.network.advertise_address is None


def test_every_scalar_key_has_a_variable_of_its_own() -> None:
    variables = [key.variable for key in settings.known_keys()]
    assert len(set(variables)) == len(variables)
    assert "WHARF_SAFETY_RETAIN_REPLACED" in variables
    assert not {"WHARF_KIND", "WHARF_API_VERSION", "WHARF_GPUS_INVENTORY"} & set(variables)


def test_relative_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "etc"
    directory.mkdir()
    write(directory, "policyFile: sub/policy.yaml\nsecretsDir: /secrets\n")
    monkeypatch.chdir(tmp_path)
    loaded = settings.load(Path("etc/controller.yaml"), {"WHARF_STATE_DIR": "state"}, {})
    assert loaded.spec_dir == directory / "workspaces.d"
    assert loaded.policy_file == directory / "sub/policy.yaml"
    assert loaded.secrets_dir == Path("/secrets")
    assert loaded.state_dir == directory / "state"
    assert loaded.runtime_dir == Path("/run/wharfinger")


def test_an_unknown_variable_names_the_nearest(tmp_path: Path) -> None:
    (line,) = refused(write(tmp_path, ""), {"WHARF_METRIC_LISTEN": "x"}, {})
    assert line == "WHARF_METRIC_LISTEN: unknown variable; did you mean WHARF_METRICS_LISTEN?"


def test_a_variable_of_a_container_is_no_setting(tmp_path: Path) -> None:
    (line,) = refused(write(tmp_path, ""), {"WHARF_OWNER": "alice"}, {})
    assert "WHARF_OWNER: unknown variable" in line


def test_an_unknown_flag_names_the_nearest(tmp_path: Path) -> None:
    assert refused(write(tmp_path, ""), {}, {"metrics.listn": "x"}) == (
        "metrics.listn: unknown key; did you mean metrics.listen?",
    )


def test_each_wrong_value_is_named_with_its_origin(tmp_path: Path) -> None:
    environ = {"WHARF_RESYNC_INTERVAL": "15", "WHARF_DOCKER_WORKERS": "many"}
    resync, workers = refused(write(tmp_path, ""), environ, {})
    assert resync.startswith("WHARF_RESYNC_INTERVAL: resyncInterval: ")
    assert 'write "15s"' in resync
    assert workers.startswith("WHARF_DOCKER_WORKERS: docker.workers: ")
    assert "valid integer" in workers


def test_a_wrong_file_is_named_with_line_and_column(tmp_path: Path) -> None:
    file = write(tmp_path, "resyncInterval: 15\n")
    (line,) = refused(file, {}, {})
    assert line.startswith(f"{file}:3:")
    assert 'write "15s"' in line


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    (line,) = refused(tmp_path / "none.yaml", {}, {})
    assert line == f"{tmp_path / 'none.yaml'}: cannot be read: No such file or directory"


def test_the_default_file_may_be_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DEFAULT_FILE", tmp_path / "controller.yaml")
    loaded = settings.load(None, {}, {})
    assert loaded.file is None
    assert loaded.spec_dir == tmp_path / "workspaces.d"
    write(tmp_path, "mode: Observe\n")
    assert settings.load(None, {}, {}).config.mode is config.Mode.OBSERVE


def test_no_container_may_see_the_controller_s_own_files_or_the_engine_s_socket(tmp_path: Path) -> None:
    loaded = settings.load(write(tmp_path, "docker: {host: unix:///srv/engine.sock}\n"), {}, {})
    own = {tmp_path / name for name in ("controller.yaml", "workspaces.d", "policy.yaml", "images.yaml")}
    kept = {tmp_path / "secrets", Path("/var/lib/wharfinger"), Path("/run/wharfinger")}
    assert set(loaded.closed) == {*map(str, own | kept), "/srv/engine.sock"}
