"""Files judged without an Engine: what is printed where, and what counts."""

from pathlib import Path

import pytest

from tests.support import wharf_host
from tests.support.wharf_host import spec


def test_a_sound_host_is_0(wharf: wharf_host.Wharf, host: wharf_host.Host) -> None:
    host.write("alice.yaml", spec("alice"))
    result = wharf("validate")
    assert (result.code, result.out, result.err) == (0, "", "wharf: 3 valid files\n")


def test_findings_are_lines_that_editors_read(wharf: wharf_host.Wharf, host: wharf_host.Host) -> None:
    file = host.write("alice.yaml", spec("alice", 'resources: {memory: "64", cpu: "2"}'))
    result = wharf("validate")
    assert result.code == 1
    assert [line.split(": ")[:2] for line in result.out.splitlines()] == [
        [f"{file}:5:23", "spec.resources.memory"],
        [f"{file}:5:29", "spec.resources.cpu"],
    ]
    assert '"64g"' in result.out
    assert result.err == "wharf: 2 findings; 2 valid files\n"


def test_two_files_with_one_name_are_both_told(wharf: wharf_host.Wharf, host: wharf_host.Host) -> None:
    first, second = host.write("a.yaml", spec("alice")), host.write("b.yaml", spec("alice"))
    result = wharf("validate")
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[0].startswith(f"{first}:3:18: metadata.name: ")
    assert str(second) in lines[0]
    assert lines[1].startswith(f"{second}:3:18: metadata.name: ")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ("class: huge", "ClassUnknown"),
        ("image: {alias: nothing}", "ImageUnknown"),
        ("image: draft", "ImageNotApproved"),
        ("gpu: {mode: All}", "GpuModeRefused"),
    ],
)
def test_what_the_policy_would_hold_is_a_warning(
    wharf: wharf_host.Wharf, host: wharf_host.Host, fields: str, word: str
) -> None:
    file = host.write("alice.yaml", spec("alice", fields))
    result = wharf("validate")
    assert result.code == 0
    assert result.out.startswith(f"{file}:1:1: warning: {word}: ")


def test_an_image_that_should_not_be_used_any_more_is_a_warning(
    wharf: wharf_host.Wharf, host: wharf_host.Host
) -> None:
    old = '    old: {reference: "wharf-old:1", deprecated: {message: gone in May, successor: sample}}\n'
    (host.root / "images.yaml").write_text(wharf_host.CATALOG + old)
    file = host.write("alice.yaml", spec("alice", "image: old"))
    result = wharf("validate")
    assert result.code == 0
    assert result.out == f'{file}:1:1: warning: ImageDeprecated: image "old": gone in May; use "sample"\n'


def test_some_files_are_checked_against_the_configured_policy(
    wharf: wharf_host.Wharf, host: wharf_host.Host, tmp_path: Path
) -> None:
    file = tmp_path / "new.yaml"
    file.write_text(spec("alice", "class: huge"))
    assert "ClassUnknown" in wharf("validate", str(file)).out
    file.write_text(spec("alice"))
    assert wharf("validate", str(file)).out == ""


def test_every_kind_of_file_is_known_by_what_it_says(wharf: wharf_host.Wharf, host: wharf_host.Host) -> None:
    result = wharf(
        "validate", str(host.config), str(host.root / "policy.yaml"), str(host.root / "images.yaml")
    )
    assert (result.code, result.err) == (0, "wharf: 3 valid files\n")


def test_the_spec_directory_holds_workspaces_alone(wharf: wharf_host.Wharf, host: wharf_host.Host) -> None:
    host.write("policy.yaml", wharf_host.POLICY)
    result = wharf("validate")
    assert result.code == 1
    assert 'expected "Workspace"' in result.out


@pytest.mark.parametrize(
    ("name", "told"), [("Alice.yaml", True), ("notes.txt", True), ("alice.yaml~", False), (".#a.yaml", False)]
)
def test_files_that_are_not_looked_into_are_told_but_for_leftovers(
    wharf: wharf_host.Wharf, host: wharf_host.Host, name: str, told: bool
) -> None:
    host.write(name, spec("alice"))
    result = wharf("validate")
    assert result.code == 0
    assert (name in result.out) is told


def test_a_link_is_no_spec(wharf: wharf_host.Wharf, host: wharf_host.Host) -> None:
    (host.specs / "alice.yaml").symlink_to("/etc/passwd")
    result = wharf("validate")
    assert result.code == 1
    assert "symbolic link" in result.out
    assert "root:" not in result.out


def test_a_missing_spec_directory_is_3(wharf: wharf_host.Wharf, host: wharf_host.Host) -> None:
    host.specs.rmdir()
    result = wharf("validate")
    assert result.code == 3
    assert str(host.specs) in result.err


GROUPED = (
    "apiVersion: wharfinger.dev/v1\nkind: ResourcePolicy\nmetadata: {name: lab}\n"
    "spec: {groups: {students: {membersFile: students}, staff: {members: [alice]}}}\n"
)


def test_files_of_members_are_checked_with_their_policy(
    wharf: wharf_host.Wharf, host: wharf_host.Host, tmp_path: Path
) -> None:
    file, members = tmp_path / "policy.yaml", tmp_path / "students"
    file.write_text(GROUPED)
    missing = wharf("validate", str(file))
    assert missing.code == 1
    assert missing.out.startswith(f"{members}:1:1: there is no such file")
    members.write_text("bob\nalice smith\n")
    wrong = wharf("validate", str(file))
    assert wrong.code == 1
    assert wrong.out.startswith(f'{members}:2:1: "alice smith" is not a login name')
    members.write_text("bob\nalice\n")
    alice = host.write("alice.yaml", spec("alice", 'image: {reference: "sample:1"}'))
    both = wharf("validate", str(file), str(alice))
    assert both.code == 0
    assert "warning: AmbiguousGroup" in both.out


def test_what_has_ended_and_who_says_what_is_told_with_its_line(
    wharf: wharf_host.Wharf, host: wharf_host.Host, tmp_path: Path
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(
        "apiVersion: wharfinger.dev/v1\nkind: ResourcePolicy\nmetadata: {name: lab}\nspec:\n"
        '  users:\n    bob: {priority: 50, expires: "2020-01-01T00:00:00Z"}\n'
        "  classes: {big: {gpu: {mode: All}}}\n"
    )
    alice = host.write("alice.yaml", spec("alice", 'image: {reference: "sample:1"}\n  class: big'))
    result = wharf("validate", str(file), str(alice))
    assert result.code == 0
    assert f"{file}:6:1: warning: GrantOver: the exception of bob ended at 2020-01-01T00:00:00Z" in result.out
    assert "from policy.yaml:7 (class big)" in result.out
