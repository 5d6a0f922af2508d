"""A DS01 limits file means here what it meant there: numbers, layers, people; no value of it is silent."""

import copy
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.api import quantities
from controller.api.policy import ResourcePolicy
from controller.cli.ds01 import keys, limits, translation
from controller.cli.ds01.notes import Kind, Report
from controller.model.desired import AcceptedPolicy
from controller.model.effective import Effective
from controller.planning import resolve
from controller.planning.standing import Profile, Standing
from controller.sources import findings, foreign, loader, positions
from tests.support import builders

HERE = Path(__file__).parent
FILES = ("current", "second", "first", "lab")
FIELDS = {
    "cpus": "resources.cpus",
    "memory": "resources.memory",
    "swap": "resources.swap",
    "shm": "resources.shm",
    "pids": "resources.pids",
    "idle": "lifecycle.idleTimeout",
    "runtime": "lifecycle.maxRuntime",
    "priority": "priority",
}


@functools.cache
def text_of(name: str) -> str:
    return (HERE / f"{name}.yaml").read_text()


def tree(text: str, file: str = "limits.yaml") -> foreign.Node:
    found = foreign.parse(text.encode(), file)
    assert isinstance(found, foreign.Tree), found
    return found.root


def translated(
    text: str,
    *,
    as_written: bool = False,
    **beside: Any,  # noqa: ANN401 - the side files' own types
) -> tuple[ResourcePolicy, Report]:
    report = Report()
    sources = translation.Sources(tree(text), **beside)
    found = translation.translate(sources, report, as_written=as_written)
    assert not report.errors, [str(error) for error in report.errors]
    result = loader.parse_document(positions.dump(found.policy).encode(), "policy.yaml", ResourcePolicy)
    assert isinstance(result, loader.Parsed), result
    return result.value, report


def said(report: Report) -> str:
    return "\n".join(report.lines())


def gets(policy: ResourcePolicy, owner: str) -> Mapping[str, str | None]:
    """What a workspace of this owner really gets here, by the short names of the tables below."""
    standing = Standing(AcceptedPolicy(policy, builders.policy().catalog, "digest"), builders.NOW)
    spec = builders.accepted("w", owner=owner, image={"reference": "busybox:1"}, security={"runAs": "Image"})
    spec = builders.in_force(spec.workspace)
    found = resolve.resolve(spec, standing, None)
    assert isinstance(found, Effective), found
    words = {value.path: value.value for value in found.values}
    profile = standing.profile(owner)
    assert isinstance(profile, Profile)
    aggregate: dict[str, Any] = {key: value.value for key, value in profile.aggregate.items()}
    shares = aggregate.get("cpus")
    sizes = {
        f"all {key}": None if aggregate.get(key) is None else quantities.format_bytes(aggregate[key])
        for key in ("memory", "memoryHigh")
    }
    quotas = found.quotas
    return {
        **{short: words.get(path, "null") for short, path in FIELDS.items()},
        "gpus": None if quotas.gpu_equivalents is None else f"{quotas.gpu_equivalents:f}",
        "workspaces": None if quotas.workspaces is None else str(quotas.workspaces),
        "all cpus": None if shares is None else quantities.format_cpus(shares),
        **sizes,
        "all pids": None if aggregate.get("pids") is None else str(aggregate["pids"]),
    }


COLUMNS = ("gpus", "cpus", "memory", "swap", "shm", "pids", "workspaces", "runtime", "idle")
CURRENT = {
    # the student's: also whoever is in no group
    "alice": ("2", "32", "32g", "0b", "16g", "4096", "3", "24h", "30m"),
    "0815": ("2", "32", "32g", "0b", "16g", "4096", "3", "24h", "30m"),
    "stranger": ("2", "32", "32g", "0b", "16g", "4096", "3", "24h", "30m"),
    "jane.doe@uni.example": ("4", "48", "64g", "0b", "32g", "4096", "5", "48h", "1h"),
    "prof": ("4", "64", "128g", "0b", "64g", "4096", "5", "72h", "2h"),
    "root-of-it": (None, "64", "128g", "0b", "64g", "4096", "10", "24h", "1h"),
    # overrides on the defaults alone
    "carol": ("3", "32", "32g", "0b", "16g", "4096", "3", "24h", "30m"),
    "dave": ("1", "32", "32g", "0b", "16g", "4096", "3", "24h", "null"),
}
AGGREGATES = {
    "alice": ("96", "96g", "86g", "12288"),
    "stranger": ("96", "96g", "86g", "12288"),
    "jane.doe@uni.example": ("240", "320g", "288g", "327680"),
    "prof": ("320", "640g", "576g", "327680"),
    "root-of-it": (None, None, None, None),
    "carol": (None, None, None, "32768"),
}
SECOND = {
    "stranger": ("2", "16", "32g", "0b", "16g", "4096", "3", "null", "48h"),
    "bob": ("2", "16", "32g", "0b", "16g", "4096", "3", "7d", "48h"),
    "carol": ("8", "32", "64g", "0b", "32g", "4096", "5", "null", "48h"),
    "root-of-it": (None, "64", "128g", "0b", "64g", "4096", "10", "null", "null"),
    "alice": ("4", "16", "32g", "0b", "16g", "4096", "3", "null", "7d"),
}
FIRST = {
    "stranger": ("1", "16", "32g", "0b", "16g", "4096", "5", "null", "48h"),
    "alice": ("1", "16", "32g", "0b", "16g", "4096", "5", "null", "48h"),
    "bob": ("2", "16", "32g", "0b", "16g", "4096", "5", "null", "48h"),
    "prof_a": ("2", "32", "64g", "0b", "32g", "4096", "5", "null", "7d"),
    "root-of-it": (None, "64", "128g", "0b", "64g", "4096", "5", "null", "null"),
}
LAB = {
    "stranger": ("1", "8", "32g", "0b", "64m", "null", "2", "null", "48h"),
    "alice": ("1", "6", "24g", "0b", "64m", "null", "2", "null", "24h"),
    "bob": ("1", "8", "32g", "0b", "64m", "null", "2", "null", "72h"),
    "prof": ("2", "16", "64g", "0b", "64m", "null", "2", "null", "null"),
}
TABLES: dict[str, Mapping[str, tuple[str | None, ...]]] = {
    "current": CURRENT,
    "second": SECOND,
    "first": FIRST,
    "lab": LAB,
}


@pytest.mark.parametrize(("file", "owner"), [(file, owner) for file in FILES for owner in TABLES[file]])
def test_everybody_gets_what_ds01_gave(file: str, owner: str) -> None:
    policy, _ = translated(text_of(file))
    found = gets(policy, owner)
    assert tuple(found[column] for column in COLUMNS) == TABLES[file][owner]


@pytest.mark.parametrize("owner", AGGREGATES)
def test_aggregates_are_as_they_were(owner: str) -> None:
    policy, _ = translated(text_of("current"))
    found = gets(policy, owner)
    columns = ("all cpus", "all memory", "all memoryHigh", "all pids")
    assert tuple(found[column] for column in columns) == AGGREGATES[owner]


@pytest.mark.parametrize(
    ("owner", "priority"),
    [
        ("stranger", "1"),
        ("bob", "10"),
        ("carol", "50"),
        ("root-of-it", "90"),
        ("alice", "100"),
        ("dave", "100"),
    ],
)
def test_priorities_are_carried_over_and_an_override_comes_first(owner: str, priority: str) -> None:
    policy, _ = translated(text_of("second"))
    assert gets(policy, owner)["priority"] == priority


def test_as_written_an_override_lies_on_its_group() -> None:
    policy, report = translated(text_of("current"), as_written=True)
    carol = gets(policy, "carol")
    assert tuple(carol[column] for column in COLUMNS) == ("3", *CURRENT["jane.doe@uni.example"][1:])
    assert carol["all memory"] == "320g"
    dave = gets(policy, "dave")
    assert tuple(dave[column] for column in COLUMNS) == (*CURRENT["alice"][:-1], "null")
    assert policy.spec.groups["researcher"].members == ("carol", "jane.doe@uni.example")
    assert "resources.memory 32g (as written: 64g)" in said(report)


def test_what_an_override_lost_is_told_for_each_user() -> None:
    policy, report = translated(text_of("current"))
    told = {note.node.key: note.message for note in report.notes if note.node.path[0] == "user_overrides"}
    assert "skipped the group researcher" in told["carol"]
    assert "resources.cpus 32 (as written: 48)" in told["carol"]
    assert "skipped the default group student" in told["dave"]
    assert "resources.cpus" not in told["dave"]
    assert policy.spec.users["carol"].reason == "paper deadline"


def test_an_override_that_lost_nothing_leaves_its_user_in_the_group() -> None:
    policy, report = translated(text_of("first"))
    assert policy.spec.groups["students"].members == ("alice", "bob")
    assert "skipped" not in said(report)


@pytest.mark.parametrize(
    ("file", "generation"),
    [
        ("current", keys.Generation.CURRENT),
        ("second", keys.Generation.SECOND),
        ("first", keys.Generation.FIRST),
        ("lab", keys.Generation.FIRST),
    ],
)
def test_the_format_is_known_by_its_keys(file: str, generation: keys.Generation) -> None:
    found = translation.translate(translation.Sources(tree(text_of(file))), Report(), as_written=False)
    assert found.generation is generation
    assert found.signs


@pytest.mark.parametrize("text", ["", "defaults:\n", "defaults: {}\ngroups:\nuser_overrides:\npolicies:\n"])
def test_sections_that_hold_nothing_are_tolerated(text: str) -> None:
    policy, _ = translated(text)
    assert policy.spec.groups == {}


# No value is silent.


def changed(node: foreign.Node, path: tuple[str | int, ...]) -> foreign.Node:
    """The same tree with another value at one path."""
    if node.path == path:
        return other_value(node)
    if isinstance(node.value, tuple):
        value: Any = tuple(changed(item, path) for item in node.value)
    elif isinstance(node.value, Mapping):
        value = {key: changed(item, path) for key, item in node.value.items()}
    else:
        return node
    return foreign.Node(node.file, node.place, node.path, node.text, value)


def other_value(node: foreign.Node) -> foreign.Node:
    value: Any = node.value
    match value:
        case bool():
            value = not value
        case None:
            value = "7h" if node.key in {"idle_timeout", "max_runtime"} else 7
        case int() | float():
            value = value + 1
        case str() if value[:-1].isdigit() and value[-1] in "gGhMT":
            value = f"{int(value[:-1]) + 1}{value[-1]}"
        case str() if value.endswith("%"):
            value = f"{int(value[:-1]) + 100}%"
        case "all":
            value = 3
        case _:
            value = f"{value}x"
    return foreign.Node(node.file, node.place, node.path, str(value), value)


def leaves() -> Iterator[tuple[str, tuple[str | int, ...]]]:
    for file in FILES:
        for leaf in tree(text_of(file)).leaves():
            yield file, leaf.path


@functools.cache
def as_it_is(file: str) -> tuple[foreign.Node, Report, Mapping[str, object]]:
    root, report = tree(text_of(file)), Report()
    return root, report, translation.translate(translation.Sources(root), report, as_written=False).policy


@pytest.mark.parametrize(("file", "path"), list(leaves()), ids=str)
def test_every_value_is_spoken_of_or_decides_something(file: str, path: tuple[str | int, ...]) -> None:
    root, report, before = as_it_is(file)
    if any(note.node.path == path[: len(note.node.path)] for note in report.notes):
        return
    noticed = Report()
    after = translation.translate(translation.Sources(changed(root, path)), noticed, as_written=False)
    assert not noticed.errors
    assert after.policy != before or path in [note.node.path for note in noticed.notes]


def test_no_key_of_ds01_is_unknown() -> None:
    for file in FILES:
        _, report = translated(text_of(file))
        assert [note.node.path for note in report.notes if note.kind is Kind.UNKNOWN] == []


MEANT_NOTHING = (
    *("gpu_memory", "io_read_bps", "io_write_bps", "ulimit_nofile", "storage_workspace", "storage_data"),
    *("strategy", "allocation_method", "enable_mig", "mig_strategy", "mig_profile", "mig_gpus"),
    *("respect_reservations", "auto_stop_idle", "checkpoint_warning", "require_workspace_mount"),
    *(
        "enforce_storage_quotas",
        "soft_limit_threshold",
        "graceful_errors",
        "suggest_alternatives",
        "priority",
    ),
)


def test_keys_that_never_had_an_effect_are_listed() -> None:
    _, report = translated(text_of("current"))
    found = {str(note.node.path[1]) for note in report.notes if note.kind is Kind.MEANINGLESS}
    assert found == set(MEANT_NOTHING)


def test_an_unknown_key_is_told_with_its_line() -> None:
    _, report = translated("defaults:\n  memory: 32g\n  memroy: 64g\nnonsense: {memory: 1g}\n")
    assert "limits.yaml:3: memroy (line 3), memory (line 4): nothing is known of it" in said(report)
    unknown = [note.node.path for note in report.notes if note.kind is Kind.UNKNOWN]
    assert ("defaults", "memroy") in unknown
    assert ("nonsense", "memory") in unknown


# Against a second, plain reading of the same file.


def ds01_says(file: Mapping[str, Any], user: str) -> dict[str, Any]:
    """What DS01's own resolver made of a file, as plainly as it can be written."""
    found = dict(file["defaults"])
    override = file["user_overrides"].get(user)
    if override is not None:
        found.update(override)
        return found
    groups = file["groups"]
    name = next((name for name in groups if user in groups[name]["members"]), file["default_group"])
    found.update({key: value for key, value in groups.get(name, {}).items() if key != "members"})
    return found


def expected(entry: Mapping[str, Any]) -> dict[str, str | None]:
    def size(value: str | None) -> str | None:
        return None if value is None else quantities.format_bytes(quantities.parse_bytes(value))

    idle = entry.get("idle_timeout_h")
    aggregate = entry.get("aggregate", {})
    tasks = aggregate.get("tasks_max", entry.get("max_tasks"))
    gpus = entry.get("max_gpu_equivalents", entry.get("max_mig_instances"))
    return {
        "cpus": str(entry.get("max_cpus", entry.get("cpus", 16))),
        "memory": size(entry.get("memory")) or "null",
        "shm": size(entry["shm_size"]),
        "gpus": None if gpus is None else str(gpus),
        "workspaces": str(entry["max_containers_per_user"]) if "max_containers_per_user" in entry else None,
        "idle": "null" if idle is None else f"{idle}h",
        "all memory": size(aggregate.get("memory_max")),
        "all pids": None if tasks is None else str(tasks),
    }


def layer(required: bool) -> st.SearchStrategy[dict[str, Any]]:
    sizes = st.sampled_from(["8g", "32g", "64g", "1024m"])
    optional = {
        "max_cpus": st.integers(1, 64),
        "cpus": st.integers(1, 64),
        "memory": sizes,
        "max_gpu_equivalents": st.none() | st.integers(0, 8),
        "max_mig_instances": st.none() | st.integers(0, 8),
        "max_containers_per_user": st.integers(0, 9),
        "idle_timeout_h": st.none() | st.integers(1, 80),
        "max_tasks": st.integers(1, 9999),
        "aggregate": st.fixed_dictionaries(
            {"memory_max": sizes}, optional={"tasks_max": st.integers(1, 999)}
        ),
    }
    if required:
        return st.fixed_dictionaries({"shm_size": sizes}, optional=optional)
    return st.fixed_dictionaries({}, optional={"shm_size": sizes, **optional})


USERS = ("alice", "bob", "carol", "dave")
LIMITS_FILES = st.fixed_dictionaries(
    {
        "defaults": layer(required=True),
        "groups": st.fixed_dictionaries(
            {},
            optional={
                name: st.builds(
                    lambda own, members: {**own, "members": members},
                    layer(required=False),
                    st.lists(st.sampled_from(USERS), unique=True),
                )
                for name in ("one", "two")
            },
        ),
        "user_overrides": st.dictionaries(st.sampled_from(USERS), layer(required=False), max_size=2),
        "default_group": st.sampled_from(["one", "two"]),
        "enforcement": st.just({"aggregate_limits": True}),
    }
)


@settings(max_examples=25, deadline=None)
@given(LIMITS_FILES)
def test_any_file_gives_everybody_what_ds01_would(file: dict[str, Any]) -> None:
    policy, _ = translated(positions.dump(copy.deepcopy(file)))
    for user in (*USERS, "stranger"):
        wanted = expected(ds01_says(file, user))
        found = gets(policy, user)
        assert {key: found[key] for key in wanted} == wanted, user


# Single values.


@pytest.mark.parametrize(
    ("lines", "path", "value"),
    [
        ("max_gpu_slots: 2\n  max_mig_instances: 7", "quotas.gpuEquivalents", "2"),
        ("max_gpus_per_user: 0.142857", "quotas.gpuEquivalents", "0.142"),
        ("max_gpu_equivalents: null\n  gpus: 2", "quotas.gpuEquivalents", None),
        ("gpus: all", "quotas.gpuEquivalents", None),
        ("cpus: 2.5", "defaults.resources.cpus", "2.5"),
        ("memory: 34359738368", "defaults.resources.memory", "32g"),
        ("memory: 32gb\n  memory_swap: 82g", "defaults.resources.swap", "50g"),
        ("memory: 32g\n  memory_swap: -1", "defaults.resources.swap", None),
        ("memory: 32g\n  memory_swap: 16g", "defaults.resources.swap", "0b"),
        ("pids_limit: -1", "defaults.resources.pids", None),
        ("idle_timeout_h: 0.5", "defaults.lifecycle.idleTimeout", "30m"),
        ('idle_timeout_h: "48h"', "defaults.lifecycle.idleTimeout", "48h"),
        ("idle_timeout: 48h", "defaults.lifecycle.idleTimeout", "48h"),
        ("gpu_hold_after_stop_h: 0.25", "defaults.lifecycle.gpuHold", "15m"),
        ("gpu_hold_after_stop_h: 0", "defaults.lifecycle.gpuHold", "1s"),
        ("gpu_hold_after_stop_h: 40m", "defaults.lifecycle.gpuHold", "40m"),
        ("policies: {gpu_hold_after_manual_stop_m: 20}", "defaults.lifecycle.gpuHold", "20m"),
        ("max_runtime_h: null", "defaults.lifecycle.maxRuntime", None),
        ("max_runtime_h: 168", "defaults.lifecycle.maxRuntime", "7d"),
        ("priority: 1000", "defaults.priority", 100),
        ('aggregate: {cpu_quota: "150%"}', "aggregate.cpus", "1.5"),
        ("aggregate: {cpu_quota: null}", "aggregate.cpus", None),
        ("aggregate: {memory_max: 10G, memory_high: 9G}", "aggregate.memoryHigh", "9g"),
        ("aggregate: {tasks_max: infinity}", "aggregate.pids", None),
        ("aggregate: {gpu_limit: 2}\n  max_gpu_equivalents: 3", "quotas.gpuEquivalents", "2"),
        ("aggregate: {gpu_limit: 2}\n  max_gpu_equivalents: null", "quotas.gpuEquivalents", "2"),
        ("policies: {sigterm_grace_s: 90}", "defaults.lifecycle.stopGrace", "1m30s"),
        ("max_tasks: 512", "aggregate.pids", 512),
    ],
)
def test_a_value_is_written_as_the_policy_means_it(lines: str, path: str, value: object) -> None:
    report = Report()
    sources = translation.Sources(tree(f"defaults:\n  {lines}\n"))
    found: Any = translation.translate(sources, report, as_written=False).policy["spec"]
    assert not report.errors
    for key in path.split("."):
        found = found[key]
    assert found == value


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("idle_timeout: 48", '"48h"'),
        ("max_runtime: 48", "seconds"),
        ('max_runtime: "48"', "unit"),
        ("idle_timeout_h: 0", "null"),
        ("idle_timeout_h: soon", "duration"),
        ("gpu_hold_after_stop_h: -1", "possible"),
        ("memory: 64", "32g"),
        ("memory: lots", "size"),
        ("memory: [1]", "size"),
        ("max_cpus: many", "number"),
        ("max_cpus: true", "number"),
        ("max_containers_per_user: 2.5", "whole"),
        ("aggregate: {cpu_quota: 9600}", "800%"),
        ("max_gpu_equivalents: .inf", "number"),
        ("aggregate: [1]", "mapping"),
    ],
)
def test_a_value_without_a_certain_meaning_is_an_error_with_its_place(lines: str, words: str) -> None:
    report = Report()
    sources = translation.Sources(tree(f"defaults:\n  {lines}\n"))
    translation.translate(sources, report, as_written=False)
    (error,) = report.errors
    assert error.line == 2
    assert error.path.startswith("defaults.")
    assert words in error.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("groups:\n  a: {members: [alice]}\n  b: {members: [alice]}\n", "the first group counted"),
        ("default_group: nobody\n", "no such group"),
        ("user_overrides: user-overrides.yaml\n", "--users-file"),
        ("groups:\n  grad_students: {}\n", "called grad-students"),
        ("defaults: {max_gpu_equivalents: 2, aggregate: {gpu_limit: 1}}\n", "the smaller is taken"),
        ("defaults: {memory: 8g, memory_swap: 4g}\n", "Docker refuses"),
        ("defaults: {memory: 8g}\n", "as much swap as memory"),
        ("defaults: {max_cpus: 8}\ngroups:\n  a: {cpus: 4}\n", "came first there"),
        ("defaults: {max_mig_instances: 2}\n", "slices"),
        (
            "enforcement: {aggregate_limits: false}\ndefaults: {aggregate: {memory_max: 1G}}\n",
            "did not apply",
        ),
        ("defaults: {idle_timeout_h: 1}\n", "DS01 gave 16"),
        ("defaults: {memory_swap: 1g}\n", "without memory"),
        ("defaults: {gpu_hold_after_stop_h: null}\n", "keeps a GPU for ever"),
        ("default_group: a\ndefaults: {shm_size: 1g}\ngroups:\n  a: {shm_size: 2g}\n", "reached nobody"),
        ("user_overrides:\n  alice:\n", "holds nothing"),
        ("user_overrides:\n  al: {approved_by: The Dean}\n", "The.Dean"),
    ],
)
def test_what_is_ambiguous_or_changed_is_told(text: str, words: str) -> None:
    _, report = translated(text)
    assert words in said(report)


def test_where_aggregates_were_off_none_is_carried_over() -> None:
    text = (
        "enforcement: {aggregate_limits: false}\ngroups:\n  a: {aggregate: {memory_max: 1G}}\n"
        "user_overrides:\n  alice: {aggregate: {memory_max: 2G}}\n"
    )
    policy, _ = translated(text)
    assert policy.spec.groups["a"].aggregate is None
    assert policy.spec.users["alice"].aggregate is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("groups:\n  a: {members: [no body]}\n", "login name"),
        ("groups:\n  a: {members: alice}\n", "list"),
        ("groups:\n  a_b: {}\n  a-b: {}\n", "taken"),
        ("user_overrides:\n  no body: {memory: 1g}\n", "login name"),
        ("groups: [a]\n", "mapping"),
    ],
)
def test_people_and_groups_that_cannot_be_are_errors(text: str, words: str) -> None:
    report = Report()
    translation.translate(translation.Sources(tree(text)), report, as_written=False)
    assert [error for error in report.errors if words in error.message]


# Side files.


def test_overrides_of_their_own_file_come_first() -> None:
    users = tree("alice: {memory: 16g, reason: quiet}\nbob: {memory: 8g}\n", "user-overrides.yaml")
    text = "defaults: {memory: 32g}\nuser_overrides:\n  alice: {memory: 64g}\n"
    policy, report = translated(text, users=users)
    assert gets(policy, "alice")["memory"] == "16g"
    assert gets(policy, "bob")["memory"] == "8g"
    assert "user-overrides.yaml takes its place" in said(report)


def test_members_of_side_files_join_those_in_the_file() -> None:
    beside = {
        "ml": (foreign.Node("ml.members", findings.Position(2, 1), ("members", 0), "bob", "bob"),),
        "gone": (foreign.Node("gone.members", findings.Position(1, 1), ("members", 0), "eve", "eve"),),
    }
    policy, report = translated("groups:\n  ml: {members: [alice]}\n", members=beside)
    assert policy.spec.groups["ml"].members == ("alice", "bob")
    assert "gone.members:1: members[0]: the limits file has no group gone" in said(report)


EXEMPTIONS = """\
exemptions:
  - username: jane.doe@uni.example
    exempt_from: [idle_timeout_h, max_runtime_h]
    reason: long training
    approved_by: prof
    approved_on: 2026-10-01
    expires_on: 2027-03-31T00:00:00+01:00
    category: research_grant
  - {username: bob, exempt_from: [idle_timeout_h], reason: demo, approved_by: prof, expires_on: null}
  - {username: jane.doe@uni.example, exempt_from: [max_runtime_h], expires_on: "2027-12-31"}
"""


def test_exemptions_become_grants_and_those_without_an_end_fields_of_users() -> None:
    policy, report = translated(text_of("first"), exemptions=tree(EXEMPTIONS, "exemptions.yaml"))
    one, two = policy.spec.grants
    assert (one.name, one.users) == ("exempt-jane-doe-uni-example", ("jane.doe@uni.example",))
    assert one.lifecycle is not None
    assert one.lifecycle.model_dump(exclude_unset=True) == {"idleTimeout": None, "maxRuntime": None}
    assert one.expires.isoformat() == "2027-03-31T00:00:00+01:00" or one.expires.hour == 23
    assert (one.approved_by, two.approved_by) == ("prof", "unknown")
    bob = policy.spec.users["bob"]
    assert bob.reason == "thesis; demo"
    assert gets(policy, "bob")["idle"] == "null"
    assert gets(policy, "jane.doe@uni.example")["idle"] == "null"
    assert "taken for UTC" in said(report)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- {username: bob, exempt_from: [idle_timeout_h], expires_on: soon}\n", "time"),
        ("- {exempt_from: [idle_timeout_h]}\n", "login"),
        ("bob: {}\n", "exemptions"),
        ("none\n", "exemptions"),
    ],
)
def test_an_exemption_that_cannot_be_read_is_an_error(text: str, words: str) -> None:
    report = Report()
    sources = translation.Sources(tree(""), exemptions=tree(text))
    translation.translate(sources, report, as_written=False)
    assert [error for error in report.errors if words in error.message]


def test_every_path_that_is_carried_over_has_a_meaning_when_it_is_absent() -> None:
    policy = {"resources", "lifecycle", "priority", "quotas", "aggregate"}
    assert {path[0] for path in limits.FALLBACK} == policy
