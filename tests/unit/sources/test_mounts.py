"""Mount sources: what may be given to the Engine. Only root can change the roots of these tests."""

import os
import pathlib
import subprocess

import pytest

from controller.api.conditions import Reason
from controller.api.rules import MAX_UID
from controller.model import errors
from controller.model.actions import PrepareMount
from controller.model.observed import MountCheck
from controller.model.outcomes import Failed
from controller.sources import mounts, preparation

OWNER = 4711


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    """A mount root with homes/alice below it."""
    path = tmp_path / "storage"
    (path / "homes" / "alice").mkdir(parents=True)
    for directory in (path, path / "homes"):
        directory.chmod(0o755)
    os.chown(path / "homes" / "alice", OWNER, OWNER)
    return path


def _check(source: pathlib.Path | str, root: pathlib.Path, **wish: bool) -> MountCheck:
    wishes = {"create": False, "required": True, "contained": False} | wish
    return mounts.check_mount(mounts.Request(str(source), **wishes), [str(root)])


def _refusal(source: pathlib.Path | str, root: pathlib.Path, **wish: bool) -> tuple[Reason, str]:
    check = _check(source, root, **wish)
    assert not check.usable
    assert not check.to_create
    assert check.obstacle is not None
    return check.obstacle.reason, check.obstacle.message


def _prepare(source: pathlib.Path, root: pathlib.Path, *, create: bool = True) -> bool:
    return mounts.prepare_mount(
        PrepareMount(
            "alice", "home", str(source), (str(root),), create=create, nosuid=False, uid=OWNER, gid=OWNER
        )
    )


def test_a_directory_and_a_file_beneath_a_root_are_usable(root: pathlib.Path) -> None:
    (root / "data").write_bytes(b"")
    assert _check(root / "homes" / "alice", root) == MountCheck(usable=True)
    assert _check(root / "data", root) == MountCheck(usable=True)


def test_the_found_source_is_known_by_device_and_inode(root: pathlib.Path) -> None:
    request = mounts.Request(str(root / "homes"), create=False, required=True, contained=False)
    status = (root / "homes").stat()
    assert mounts.inspect_source(request, [str(root)]) == mounts.Found(status.st_dev, status.st_ino)


@pytest.mark.parametrize("source", ["/etc", "{root}", "{root}x/a"])
def test_a_source_must_lie_beneath_a_root(root: pathlib.Path, source: str) -> None:
    reason, message = _refusal(source.format(root=root), root)
    assert reason == Reason.MOUNT_OUTSIDE_ROOTS
    assert str(root) in message


def test_without_roots_every_source_is_outside(root: pathlib.Path) -> None:
    request = mounts.Request(str(root / "homes"), create=True, required=True, contained=False)
    obstacle = mounts.check_mount(request, []).obstacle
    assert obstacle is not None
    assert obstacle.reason == Reason.MOUNT_OUTSIDE_ROOTS


def test_the_longest_fitting_root_is_taken(root: pathlib.Path) -> None:
    roots = ["/", str(root), str(root / "homes")]
    assert mounts.find_root(str(root / "homes" / "alice"), roots) == str(root / "homes")
    assert mounts.find_root(str(root / "other"), roots) == str(root)
    assert mounts.find_root("/etc", roots) == "/"


@pytest.mark.parametrize("source", ["homes/../../etc", "homes//alice", "./homes", "homes/alice/"])
def test_a_path_that_is_not_plain_is_unsafe(root: pathlib.Path, source: str) -> None:
    assert _refusal(f"{root}/{source}", root)[0] == Reason.MOUNT_UNSAFE


@pytest.mark.parametrize("directory", [".", "homes"])
@pytest.mark.parametrize("flaw", ["owner", "group", "world"])
def test_every_directory_above_must_be_roots_alone(root: pathlib.Path, directory: str, flaw: str) -> None:
    above = root / directory
    if flaw == "owner":
        os.chown(above, OWNER, 0)
    else:
        above.chmod(0o775 if flaw == "group" else 0o1777)
    reason, message = _refusal(root / "homes" / "alice", root, create=True)
    assert reason == Reason.MOUNT_UNSAFE
    remedy = "chown root" if flaw == "owner" else "chmod go-w"
    assert f"{remedy} {above}" in message


def test_a_link_is_never_followed(root: pathlib.Path) -> None:
    (root / "way").symlink_to(root / "homes")
    (root / "homes" / "mallory").symlink_to("/etc")
    for source in (root / "way" / "alice", root / "homes" / "mallory"):
        reason, message = _refusal(source, root, create=True)
        assert reason == Reason.MOUNT_UNSAFE
        assert "link" in message


def test_a_root_that_is_a_link_is_unsafe(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert _refusal(tmp_path / "link" / "homes", tmp_path / "link")[0] == Reason.MOUNT_UNSAFE


def test_a_pipe_is_no_source(root: pathlib.Path) -> None:
    os.mkfifo(root / "pipe")
    assert _refusal(root / "pipe", root)[0] == Reason.MOUNT_UNSAFE


def test_a_missing_source_is_made_left_out_or_missing(root: pathlib.Path) -> None:
    source = root / "homes" / "bob"
    assert _check(source, root, create=True) == MountCheck(usable=False, to_create=True)
    assert _check(source, root, required=False) == MountCheck(usable=False)
    reason, message = _refusal(source, root)
    assert reason == Reason.MOUNT_MISSING
    assert str(source) in message


def test_a_missing_root_is_never_made(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    reason, message = _refusal(tmp_path / "gone" / "bob", tmp_path / "gone", create=True)
    assert reason == Reason.MOUNT_MISSING
    assert str(tmp_path / "gone") in message


@pytest.mark.parametrize(
    ("options", "lacking"),
    [
        ("nosuid,nodev", []),
        ("nosuid,dev", ["nodev"]),
        ("suid,nodev", ["nosuid"]),
        ("suid,dev", ["nosuid", "nodev"]),
    ],
)
def test_where_root_can_run_the_file_system_must_be_nosuid_and_nodev(
    root: pathlib.Path, options: str, lacking: list[str]
) -> None:
    options = f"{options},mode=0755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", root], check=True)
    try:
        (root / "homes").mkdir()
        (root / "homes").chmod(0o755)
        assert _check(root / "homes", root).usable
        check = _check(root / "homes", root, contained=True)
    finally:
        subprocess.run(["umount", root], check=True)
    assert check.usable is not bool(lacking)
    if lacking:
        assert check.obstacle is not None
        assert check.obstacle.reason == Reason.MOUNT_UNSAFE
        assert f"without {', '.join(lacking)};" in check.obstacle.message
        assert "allowSuidMounts" in check.obstacle.message


def test_preparing_makes_the_last_directory_the_owners_and_those_above_roots(root: pathlib.Path) -> None:
    source = root / "projects" / "x" / "bob"
    assert _prepare(source, root) is False
    made = source.stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o7777) == (OWNER, OWNER, 0o700)
    for above in (root / "projects", root / "projects" / "x"):
        assert (above.stat().st_uid, above.stat().st_mode & 0o7777) == (0, 0o755)
    assert _prepare(source, root) is True
    assert sorted(path.name for path in (root / "projects" / "x").iterdir()) == ["bob"]


def test_a_directory_may_belong_to_the_highest_ids(root: pathlib.Path) -> None:
    source = root / "homes" / "high"
    wanted = PrepareMount(
        "alice", "home", str(source), (str(root),), create=True, nosuid=False, uid=MAX_UID, gid=MAX_UID - 1
    )
    mounts.prepare_mount(wanted)
    assert (source.stat().st_uid, source.stat().st_gid) == (2**32 - 2, 2**32 - 3)


def test_preparing_again_after_a_crash_completes_the_directory(root: pathlib.Path) -> None:
    (root / "homes" / ".bob.wharf-new").mkdir()
    assert _prepare(root / "homes" / "bob", root) is False
    assert (root / "homes" / "bob").stat().st_uid == OWNER


def test_preparing_leaves_what_is_there_as_it_is(root: pathlib.Path) -> None:
    (root / "homes" / "alice").chmod(0o755)
    assert _prepare(root / "homes" / "alice", root) is True
    assert (root / "homes" / "alice").stat().st_mode & 0o7777 == 0o755


def test_preparing_refuses_what_became_unsafe(root: pathlib.Path) -> None:
    (root / "homes").chmod(0o777)
    with pytest.raises(errors.Terminal) as unsafe:
        _prepare(root / "homes" / "bob", root)
    assert unsafe.value.reason == Reason.MOUNT_UNSAFE
    assert not (root / "homes" / "bob").exists()


def test_preparing_makes_nothing_that_may_not_be_made(root: pathlib.Path) -> None:
    with pytest.raises(errors.Terminal) as missing:
        _prepare(root / "homes" / "bob", root, create=False)
    assert missing.value.reason == Reason.MOUNT_MISSING
    assert not (root / "homes" / "bob").exists()


@pytest.mark.parametrize(
    ("source", "closed"),
    [
        ("/run/docker.sock", "/run/docker.sock"),
        ("/run", "/run/docker.sock"),
        ("/var/run", "/var/run/docker.sock"),
        ("/", "/run/docker.sock"),
        ("/run/containerd/containerd.sock", "/run/containerd"),
        ("/srv/wharf/state", "/srv/wharf/state"),
        ("/srv/wharf/state/state.db", "/srv/wharf/state"),
        ("/srv/wharf", "/srv/wharf/state"),
    ],
)
def test_what_would_hand_over_the_host_is_refused_whatever_the_roots_are(source: str, closed: str) -> None:
    request = mounts.Request(source, create=True, required=False, contained=False)
    check = mounts.check_mount(request, ["/", "/run", "/srv"], mounts.closed(["/srv/wharf/state"]))
    assert check.obstacle is not None
    assert (check.usable, check.to_create) == (False, False)
    assert check.obstacle.reason is Reason.MOUNT_FORBIDDEN
    assert closed in check.obstacle.message


def test_a_neighbour_of_what_is_closed_is_not(root: pathlib.Path) -> None:
    (root / "homes" / "alice2").mkdir()
    request = mounts.Request(str(root / "homes" / "alice2"), create=False, required=True, contained=False)
    assert mounts.check_mount(request, [str(root)], mounts.closed([str(root / "homes" / "alice")])).usable


def test_what_is_closed_is_closed_by_every_way_that_leads_there(
    root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "link").symlink_to(root / "homes")
    request = mounts.Request(str(root / "homes"), create=False, required=True, contained=False)
    check = mounts.check_mount(request, [str(root)], mounts.closed([str(tmp_path / "link")]))
    assert check.obstacle is not None
    assert check.obstacle.reason is Reason.MOUNT_FORBIDDEN


def test_what_is_closed_is_closed_below_a_root_that_is_a_link(
    root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "link").symlink_to(root)
    closed = mounts.closed([str(root / "homes")])
    for name in ("homes", "homes/alice"):
        request = mounts.Request(f"{tmp_path}/link/{name}", create=True, required=True, contained=False)
        check = mounts.check_mount(request, [f"{tmp_path}/link"], closed)
        assert check.obstacle is not None
        assert check.obstacle.reason is Reason.MOUNT_FORBIDDEN


def test_what_is_closed_is_refused_again_when_it_is_prepared(root: pathlib.Path) -> None:
    source = root / "homes" / "alice"
    action = PrepareMount(
        "alice", "home", str(source), (str(root),), create=True, nosuid=False, uid=OWNER, gid=OWNER
    )
    executor = preparation.HostExecutor("/nowhere", "/nowhere", closed=[str(root / "homes")])
    outcome = executor.execute(action)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.retryable) == (Reason.MOUNT_FORBIDDEN, False)
