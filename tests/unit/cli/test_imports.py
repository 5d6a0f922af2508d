"""`wharf import`: what is printed where, what is written, and what the exit code says."""

import json
import stat
from pathlib import Path

import pytest

from controller.api.policy import ResourcePolicy
from controller.api.workspace import Workspace
from controller.sources import loader
from tests.support import wharf_host

HERE = Path(__file__).parent
LIMITS = HERE / "ds01" / "current.yaml"


def policy_of(text: str) -> ResourcePolicy:
    result = loader.parse_document(text.encode(), "policy.yaml", ResourcePolicy)
    assert isinstance(result, loader.Parsed), result
    return result.value


def test_the_policy_is_on_stdout_and_what_is_to_be_said_on_stderr(
    wharf: wharf_host.Wharf, host: wharf_host.Host
) -> None:
    result = wharf("import", "ds01", str(LIMITS))
    assert result.code == 0
    assert policy_of(result.out).spec.groups["researcher"].members == ("jane.doe@uni.example",)
    assert result.err.startswith("wharf: DS01, the current format")
    assert f"{LIMITS}:24: defaults.storage_tmp: " in result.err
    assert "max_gpu_slots_per_container (lines 4, 36, 52, 74, 92): " in result.err
    (host.root / "policy.yaml").write_text(result.out)
    assert wharf("validate").code == 0


def test_json_says_the_same(wharf: wharf_host.Wharf) -> None:
    written, printed = (
        wharf("import", "ds01", str(LIMITS), "-o", "json"),
        wharf("import", "ds01", str(LIMITS)),
    )
    assert policy_of(json.dumps(json.loads(written.out))) == policy_of(printed.out)


def test_side_files_are_read(wharf: wharf_host.Wharf, tmp_path: Path) -> None:
    groups = tmp_path / "groups"
    groups.mkdir()
    (groups / "faculty.members").write_text("# they teach\n\nzoe  # new\nprof\n")
    (groups / "archived.members").write_text("old\n")
    (groups / "notes.txt").write_text("?\n")
    users, exemptions = tmp_path / "user-overrides.yaml", tmp_path / "lifecycle-exemptions.yaml"
    users.write_text("zoe: {memory: 256g, memory_swap: 256g}\n")
    exemptions.write_text(
        "- {username: prof, exempt_from: [max_runtime_h], reason: runs, expires_on: null}\n"
    )
    result = wharf(
        *("import", "ds01", str(LIMITS), "--as-written", "--groups", str(groups)),
        *("--users-file", str(users), "--exemptions", str(exemptions)),
    )
    assert result.code == 0
    spec = policy_of(result.out).spec
    assert spec.groups["faculty"].members == ("prof", "zoe")
    assert spec.users["zoe"].resources is not None
    assert spec.users["prof"].reason == "runs"
    assert "archived.members:1: " in result.err
    assert "notes.txt:1: " in result.err
    assert f"{groups / 'faculty.members'}:4" not in result.err


def test_members_can_go_to_files_of_their_own(
    wharf: wharf_host.Wharf, host: wharf_host.Host, tmp_path: Path
) -> None:
    target = host.root / "groups"
    limits = tmp_path / "limits.yaml"
    limits.write_text("groups:\n  big:\n    members:\n" + "".join(f"    - user{n:06}\n" for n in range(9000)))
    arguments = ("import", "ds01", str(limits), "--members-dir", str(target))
    assert wharf(*arguments).code == 3
    target.mkdir()
    result = wharf(*arguments)
    assert result.code == 0
    assert policy_of(result.out).spec.groups["big"].members_file == "groups/big.members"
    members = (target / "big.members").read_text().splitlines()
    assert (len(members), members[0]) == (9000, "user000000")
    (host.root / "policy.yaml").write_text(result.out)
    assert wharf("validate").code == 0
    again = wharf(*arguments)
    assert (again.code, again.out) == (5, "")
    assert f"{target / 'big.members'} is there" in again.err


def test_a_key_that_is_given_twice_is_told(wharf: wharf_host.Wharf, tmp_path: Path) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text("defaults:\n  memory: 32g\n  memory: 64g\n")
    result = wharf("import", "ds01", str(file))
    assert "memory: 64g" in result.out
    assert f"{file}:2: defaults.memory: memory is given twice" in result.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("defaults:\n  idle_timeout: 48\n", ":2:3: defaults.idle_timeout: 48 has no unit"),
        ("defaults: [\n", "not YAML"),
        ("groups:\n  g: {members: [no one]}\n", "login name"),
        ("defaults: {memory: 32g}\na: !!python/name:os.system x\n", "tag"),
    ],
)
def test_a_file_that_is_not_clear_is_1_and_prints_no_policy(
    wharf: wharf_host.Wharf, tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text(text)
    result = wharf("import", "ds01", str(file))
    assert (result.code, result.out) == (1, "")
    assert f"{file}:" in result.err
    assert words in result.err


def test_a_policy_that_the_controller_would_refuse_is_not_printed(
    wharf: wharf_host.Wharf, tmp_path: Path
) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text("groups:\n  g:\n    members:\n" + "".join(f"    - user{n:06}\n" for n in range(9000)))
    result = wharf("import", "ds01", str(file))
    assert (result.code, result.out) == (1, "")
    assert "64 KiB" in result.err


@pytest.mark.parametrize("option", ["", "--users-file", "--exemptions", "--groups"])
def test_a_file_that_is_not_there_is_1(wharf: wharf_host.Wharf, tmp_path: Path, option: str) -> None:
    missing = str(tmp_path / "none")
    arguments = [str(LIMITS), option, missing] if option else [missing]
    result = wharf("import", "ds01", *arguments)
    assert (result.code, result.out) == (1, "")
    assert f"{missing}: No such file" in result.err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ([], "Usage"),
        (["ds02"], "did you mean ds01?"),
        (["ds01"], "FILE"),
        (["ds01", "f", "-o", "table"], "yaml"),
        (["users", "f"], "--class"),
    ],
)
def test_a_wrong_command_line_is_64(wharf: wharf_host.Wharf, arguments: list[str], hint: str) -> None:
    result = wharf("import", *arguments)
    assert result.code == 64
    assert hint in result.err


def listed(tmp_path: Path, text: str) -> str:
    file = tmp_path / "logins.txt"
    file.write_text(text)
    return str(file)


def test_each_login_gets_a_spec(wharf: wharf_host.Wharf, host: wharf_host.Host, tmp_path: Path) -> None:
    file = listed(tmp_path, "alice\nJane.Doe@uni.example\n0815\n")
    result = wharf("import", "users", file, "--class", "small")
    assert result.code == 0
    assert result.out.splitlines() == [
        f"workspace/{name} created" for name in ("alice", "jane-doe-uni-example", "0815")
    ]
    for name, owner in (
        ("alice", "alice"),
        ("jane-doe-uni-example", "Jane.Doe@uni.example"),
        ("0815", "0815"),
    ):
        written = host.specs / f"{name}.yaml"
        text = written.read_bytes()
        assert text.endswith(b"\n...\n")
        parsed = loader.parse_document(text, str(written), Workspace)
        assert isinstance(parsed, loader.Parsed)
        assert (parsed.name, parsed.value.spec.owner, parsed.value.spec.class_name) == (name, owner, "small")
        found = written.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_nlink) == (0o644, 1)
    assert len(list(host.specs.iterdir())) == 3
    assert wharf("validate").code == 0


def test_what_is_there_stays_and_is_5(wharf: wharf_host.Wharf, host: wharf_host.Host, tmp_path: Path) -> None:
    mine = host.write("alice.yaml", "not even a spec\n")
    other = host.write("of-bob.yaml", wharf_host.spec("bob"))
    result = wharf("import", "users", listed(tmp_path, "alice\nbob\ncarol\n"), "--class", "small")
    assert (result.code, result.out) == (5, "workspace/carol created\n")
    assert mine.read_text() == "not even a spec\n"
    assert f"{mine} is there" in result.err
    assert f"{other} declares workspace/bob" in result.err
    assert not (host.specs / "bob.yaml").exists()


def test_a_dry_run_shows_the_files_and_writes_none(
    wharf: wharf_host.Wharf, host: wharf_host.Host, tmp_path: Path
) -> None:
    host.write("alice.yaml", "mine\n")
    file = listed(tmp_path, "alice\nbob\n")
    result = wharf("import", "users", file, "--class", "small", "--dry-run")
    assert result.code == 5
    assert result.out.startswith(f"# {host.specs / 'bob.yaml'}\napiVersion: ")
    assert result.out.endswith("...\n")
    assert [path.name for path in host.specs.iterdir()] == ["alice.yaml"]


def test_another_directory_can_be_named(wharf: wharf_host.Wharf, tmp_path: Path) -> None:
    target = tmp_path / "new.d"
    file = listed(tmp_path, "alice\n")
    assert wharf("import", "users", file, "--class", "small", "--dir", str(target)).code == 3
    target.mkdir()
    assert wharf("import", "users", file, "--class", "small", "--dir", str(target)).code == 0
    assert (target / "alice.yaml").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("jane.doe\nbob\nJane-Doe\n", '"Jane-Doe" and "jane.doe" (line 1) would both be jane-doe'),
        ("_\n", "makes no name"),
        (f"{'a' * 41}\n", "40 characters"),
        ("alice bob\n", "write the login alone"),
    ],
)
def test_logins_that_cannot_be_named_apart_are_1_and_nothing_is_written(
    wharf: wharf_host.Wharf, host: wharf_host.Host, tmp_path: Path, text: str, words: str
) -> None:
    result = wharf("import", "users", listed(tmp_path, text), "--class", "small")
    assert (result.code, result.out) == (1, "")
    assert words in result.err
    assert list(host.specs.iterdir()) == []


def test_a_class_that_the_policy_lacks_is_1(
    wharf: wharf_host.Wharf, host: wharf_host.Host, tmp_path: Path
) -> None:
    file = listed(tmp_path, "alice\n")
    result = wharf("import", "users", file, "--class", "smal")
    assert (result.code, result.out) == (1, "")
    assert "did you mean small?" in result.err
    (host.root / "policy.yaml").unlink()
    assert wharf("import", "users", file, "--class", "smal").code == 0
    assert wharf("import", "users", listed(tmp_path, "bob\n"), "--class", "Not A Label").code == 1


def test_bytes_that_are_no_text_are_1(wharf: wharf_host.Wharf, tmp_path: Path) -> None:
    file = tmp_path / "logins.txt"
    file.write_bytes(b"\xff\xfe\x00")
    result = wharf("import", "users", str(file), "--class", "small")
    assert result.code == 1
    assert "UTF-8" in result.err
