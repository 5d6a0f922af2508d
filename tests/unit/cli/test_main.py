"""The command as a whole: help, usage errors, exit codes, completion, start-up."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from controller.cli import entry, main
from tests.support import controller_stand_in, wharf_host

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = sorted(main.ENTRIES)


def leaf_of(words: list[str]) -> click.Command:
    """The command that a line calls, below as many groups as it names."""
    name = next(word for word in words if word in main.ENTRIES)
    found = main.ENTRIES[name].load()
    for word in words[words.index(name) + 1 :]:
        if isinstance(found, entry.Group):
            found = found.entries[word].load()
    return found


def process(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "controller", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_begins_with_examples_that_call_the_command(
    wharf: wharf_host.Wharf, command: str, flag: str
) -> None:
    result = wharf(command, flag)
    assert result.code == 0
    usage, examples, _ = result.out.split("\n\n", 2)
    assert usage.startswith(f"Usage: wharf {command}")
    assert examples.startswith("Examples:")
    lines = [line.strip() for line in examples.splitlines() if not line.strip().startswith("#")]
    assert any(f"wharf {command}" in line or f" {command}" in line for line in lines)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_example_is_a_command_line_that_parses(command: str) -> None:
    loaded = main.ENTRIES[command].load()
    below = [one.load() for one in loaded.entries.values()] if isinstance(loaded, entry.Group) else []
    for one in (loaded, *below):
        assert isinstance(one, entry.Command | entry.Group)
        for example in one.examples:
            words = re.split(r"\s+", example.command.split("wharf ", 1)[-1])
            options = {word for word in words if word.startswith("-") and word != "-"}
            known = {flag for parameter in leaf_of(words).params for flag in parameter.opts} | {"--config"}
            assert options <= known, example.command


def test_the_overview_names_every_command_and_every_exit_code(wharf: wharf_host.Wharf) -> None:
    shown = wharf("--help").out
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\S", shown, re.MULTILINE)
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 64, 130):
        assert re.search(rf"^    {code} +\S", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["gte"], "did you mean get?"),
        (["get"], "KIND"),
        (["get", "workspcaes"], "did you mean workspaces?"),
        (["get", "workspaces", "-o", "xml"], "yaml"),
        (["get", "workspaces", "--watc"], "--watch"),
        (["get", "policy", "--watch"], "--watch"),
        (["describe", "workspace"], "NAME"),
        (["pause"], "--reason"),
        (["run", "--timeout", "5s"], "--once"),
        (["run", "--once", "--timeout", "5"], "5s"),
        (["run", "--mode", "Sometimes"], "Observe"),
        (["apply"], "--file"),
        (["completion", "tcsh"], "bash"),
        (["validate", "/nowhere/at/all"], "/nowhere/at/all"),
        ([], "Usage"),
    ],
)
def test_a_wrong_command_line_is_64_and_says_what_to_write(
    wharf: wharf_host.Wharf, arguments: list[str], hint: str
) -> None:
    result = wharf(*arguments)
    assert result.code == 64
    assert hint in result.err
    assert result.out == ""


def test_a_wrong_configuration_is_one_line_for_each_mistake(
    wharf: wharf_host.Wharf, host: wharf_host.Host
) -> None:
    host.config.write_text("apiVersion: wharfinger.dev/v1\nkind: ControllerConfig\nspecDri: x\nsettle: 1\n")
    result = wharf("get", "images")
    assert result.code == 1
    assert [line.split(": ")[1].rsplit(":", 2)[1] for line in result.err.splitlines()] == ["3", "4"]
    assert "specDir" in result.err


def test_the_configuration_may_be_named_by_the_environment(host: wharf_host.Host) -> None:
    done = process("get", "images", "-o", "name", WHARF_CONFIG=str(host.config))
    assert (done.returncode, done.stdout) == (0, "image/draft\nimage/sample\n")


def test_an_unknown_variable_is_an_error(host: wharf_host.Host) -> None:
    done = process("get", "images", WHARF_CONFIG=str(host.config), WHARF_MODUS="Observe")
    assert done.returncode == 1
    assert "WHARF_MODE" in done.stderr


def test_version_is_quick_because_it_imports_almost_nothing() -> None:
    code = (
        "import sys; from controller.cli import main; main.invoke(['version']);"
        "print(sorted({'pydantic', 'docker', 'rich', 'yaml', 'aiohttp', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["wharfinger 0.1.0", "[]"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_each_shell(shell: str) -> None:
    done = process("completion", shell)
    assert done.returncode == 0
    assert "_WHARF_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("wharf ", {"get", "apply", "completion"}),
        ("wharf get ", {"workspaces", "events", "ports"}),
        ("wharf get ev", {"events"}),
        ("wharf get workspaces --no", {"--no-headers"}),
        ("wharf completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_completion_knows_commands_kinds_and_options(line: str, expected: set[str]) -> None:
    count = len(line.split(" ")) - 1
    done = process(_WHARF_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(count))
    assert expected <= {row.partition(",")[2] for row in done.stdout.splitlines()}


def test_completion_knows_the_names_of_workspaces(
    host: wharf_host.Host, world: controller_stand_in.World
) -> None:
    world.workspaces = {name: {"metadata": {"name": name}} for name in ("alice", "alba", "bob")}
    done = process(
        _WHARF_COMPLETE="bash_complete",
        WHARF_CONFIG=str(host.config),
        COMP_WORDS="wharf stop al",
        COMP_CWORD="2",
    )
    assert done.stdout.splitlines() == ["plain,alba", "plain,alice"]


def test_completion_knows_gpus_by_their_uuids(
    host: wharf_host.Host, world: controller_stand_in.World
) -> None:
    world.answers["gpus"] = {"items": [{"name": name} for name in ("GPU-11", "GPU-12", "GPU-2")]}
    done = process(
        _WHARF_COMPLETE="bash_complete",
        WHARF_CONFIG=str(host.config),
        COMP_WORDS="wharf uncordon gpu GPU-1",
        COMP_CWORD="3",
    )
    assert done.stdout.splitlines() == ["plain,GPU-11", "plain,GPU-12"]


def test_an_interrupt_is_130(host: wharf_host.Host, world: controller_stand_in.World) -> None:
    command = [sys.executable, "-m", "controller", "--config", str(host.config), "get", "ports", "-w"]
    with subprocess.Popen(
        ["env", "--default-signal=INT", *command],  # who started the tests may have it ignored
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        world.answers["ports"] = {"items": [{"port": 1, "owner": "a", "workspace": "a", "service": "ssh"}]}
        assert running.stdout is not None
        assert running.stdout.readline().startswith("PORT")
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (130, "\nwharf: interrupted\n")


@pytest.mark.parametrize("classes", [1, 1500])
def test_a_reader_that_went_away_is_no_error(host: wharf_host.Host, classes: int) -> None:
    host.root.joinpath("policy.yaml").write_text(
        "apiVersion: wharfinger.dev/v1\nkind: ResourcePolicy\nmetadata: {name: many}\nspec:\n  classes:\n"
        + "".join(f"    class-{number}: {{image: one}}\n" for number in range(classes))
    )
    reader, writer = os.pipe()
    os.close(reader)
    command = [
        sys.executable,
        "-m",
        "controller",
        "--config",
        str(host.config),
        "get",
        "policy",
        "-o",
        "yaml",
    ]
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_data_alone_is_on_stdout(wharf: wharf_host.Wharf, world: controller_stand_in.World) -> None:
    result = wharf("get", "workspaces", "-o", "json")
    assert json.loads(result.out)["items"] == []
